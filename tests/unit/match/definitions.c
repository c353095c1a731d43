/* Definitions: FHIR R4 search parameters as paths, the patient compartment complete, wrong files told by line. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "match/definitions.h"
#include "match/match.h"

static struct cdx_definitions *defs;

static int load(void)
{
    struct cdx_err err = {0};

    defs = cdx_definitions_load("mappings/r4", &err);
    return defs == NULL;
}

static int unload(void)
{
    cdx_definitions_destroy(defs);
    return 0;
}

static const struct cdx_param *param(const char *type, const char *code)
{
    const struct cdx_restype *t = cdx_definitions_type(defs, cdx_text_z(type));

    return t != NULL ? cdx_restype_param(t, cdx_text_z(code)) : NULL;
}

/* What the R4 expression says in JSON member names (a choice element is named with its type: FHIR R4 json.html 2.6.2). */
static const struct {
    const char *type, *code, *paths, *only;
} compiled[] = {
    {"Observation", "code", "code", ""},
    {"Observation", "combo-code", "code component.code", ""},
    {"Observation", "value-concept", "valueCodeableConcept", ""},
    {"Observation", "combo-value-concept", "valueCodeableConcept component.valueCodeableConcept",
     ""},
    {"Observation", "value-string", "valueString valueCodeableConcept.text", ""},
    {"Observation", "_id", "id", ""},
    {"Observation", "_tag", "meta.tag", ""},
    {"Encounter", "patient", "subject", "Patient"},
    {"Encounter", "practitioner", "participant.individual", "Practitioner"},
    {"Condition", "abatement-string", "abatementString", ""},
    {"Group", "value", "characteristic.valueCodeableConcept characteristic.valueBoolean", ""},
    {"InsurancePlan", "name", "name alias", ""},
    {"Substance", "code", "code ingredient.substanceCodeableConcept", ""},
    {"MedicationRequest", "medication", "medicationReference", ""},
    {"ConceptMap", "source", "sourceCanonical", ""},
    {"MessageHeader", "event", "event[x]", ""},
    {"Task", "subject", "for", ""},
};

static void simple_expressions_become_paths(void)
{
    for (size_t i = 0; i < CDX_COUNT(compiled); i++) {
        const struct cdx_param *p = param(compiled[i].type, compiled[i].code);
        char text[256] = "";
        size_t at = 0;
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_PTR_NULL(p->reason);
        for (size_t k = 0; k < p->paths_n; k++) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", k != 0 ? " " : "",
                                   CDX_TEXT(p->paths[k].path));
            CU_ASSERT(cdx_text_is(p->paths[k].only, compiled[i].only));
        }
        CU_ASSERT_STRING_EQUAL(text, compiled[i].paths);
    }
}

static const struct {
    const char *type, *code;
} uncompiled[] = {
    {"Observation", "date"},                /* a date */
    {"Observation", "code-value-quantity"}, /* a composite */
    {"Patient", "deceased"},                /* exists() and != */
    {"Patient", "email"},                   /* where(system='email') */
    {"Bundle", "composition"},              /* an index */
    {"ActivityDefinition",
     "depends-on"}, /* one alternative of two is beyond the subset: both are left */
};

static void other_expressions_keep_their_reason(void)
{
    for (size_t i = 0; i < CDX_COUNT(uncompiled); i++) {
        const struct cdx_param *p = param(uncompiled[i].type, uncompiled[i].code);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_PTR_NOT_NULL(p->reason);
        CU_ASSERT_EQUAL(p->paths_n, 0);
    }
}

/* FHIR R4 CompartmentDefinition patient: a sample of rows, with those that are easily forgotten. */
static const struct {
    const char *type, *code;
    bool subject;
} rows[] = {
    {"AllergyIntolerance", "patient", true},
    {"AllergyIntolerance", "recorder", false},
    {"AllergyIntolerance", "asserter", false},
    {"Coverage", "beneficiary", true},
    {"Coverage", "policy-holder", false},
    {"Coverage", "subscriber", false},
    {"Coverage", "payor", false},
    {"EnrollmentRequest", "subject", true},
    {"Group", "member", false},
    {"MedicationDispense", "receiver", false},
    {"Observation", "subject", true},
    {"Observation", "performer", false},
    {"Patient", "link", false},
    {"QuestionnaireResponse", "author", false},
    {"RequestGroup", "participant", false},
    {"ResearchSubject", "individual", true},
    {"Schedule", "actor", false},
    {"SupplyRequest", "subject", false},
    {"ExplanationOfBenefit", "payee", false},
    {"Composition", "subject", true},
    {"Task", "subject", true},
};

static void compartment_holds_the_rows_of_fhir(void)
{
    for (size_t i = 0; i < CDX_COUNT(rows); i++) {
        const struct cdx_restype *type = cdx_definitions_type(defs, cdx_text_z(rows[i].type));
        bool found = false, subject = false;
        CU_ASSERT_PTR_NOT_NULL_FATAL(type);
        for (size_t k = 0; k < type->compartment_n; k++)
            if (cdx_text_is(type->compartment[k].param->code, rows[i].code)) {
                found = true;
                subject = type->compartment[k].subject;
            }
        CU_ASSERT(found);
        CU_ASSERT_EQUAL(subject, rows[i].subject);
    }
}

/* Every R4 type whose `patient` parameter exists is in the compartment, but for those that FHIR leaves out of it. */
static void no_type_with_a_patient_is_forgotten(void)
{
    static const char *const outside[] = {"Contract", "Device", "GuidanceResponse"};
    static const char *const types[] = {
        "Account",
        "AllergyIntolerance",
        "Appointment",
        "AppointmentResponse",
        "AuditEvent",
        "Basic",
        "BodyStructure",
        "CarePlan",
        "CareTeam",
        "ChargeItem",
        "Claim",
        "ClaimResponse",
        "ClinicalImpression",
        "Communication",
        "CommunicationRequest",
        "Composition",
        "Condition",
        "Consent",
        "Coverage",
        "CoverageEligibilityRequest",
        "CoverageEligibilityResponse",
        "DetectedIssue",
        "DeviceRequest",
        "DeviceUseStatement",
        "DiagnosticReport",
        "DocumentManifest",
        "DocumentReference",
        "Encounter",
        "EnrollmentRequest",
        "EpisodeOfCare",
        "ExplanationOfBenefit",
        "FamilyMemberHistory",
        "Flag",
        "Goal",
        "ImagingStudy",
        "Immunization",
        "ImmunizationEvaluation",
        "ImmunizationRecommendation",
        "Invoice",
        "List",
        "MeasureReport",
        "Media",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "MolecularSequence",
        "NutritionOrder",
        "Observation",
        "Person",
        "Procedure",
        "Provenance",
        "QuestionnaireResponse",
        "RelatedPerson",
        "RequestGroup",
        "ResearchSubject",
        "RiskAssessment",
        "ServiceRequest",
        "Specimen",
        "SupplyDelivery",
        "Task",
        "VisionPrescription",
    };

    for (size_t i = 0; i < CDX_COUNT(types); i++) {
        const struct cdx_restype *type = cdx_definitions_type(defs, cdx_text_z(types[i]));
        CU_ASSERT_PTR_NOT_NULL_FATAL(type);
        CU_ASSERT(type->compartment_n != 0);
        CU_ASSERT_PTR_NOT_NULL(cdx_restype_param(type, CDX_LIT("patient")));
    }
    for (size_t i = 0; i < CDX_COUNT(outside); i++)
        CU_ASSERT_EQUAL(cdx_definitions_type(defs, cdx_text_z(outside[i]))->compartment_n, 0);
}

/* Writes both files into a new folder and loads it; returns the error's text. */
static const char *load_files(const char *search, const char *compartment)
{
    static struct cdx_err err;
    char dir[] = "/tmp/cdx-definitions-XXXXXX", a[128], b[128];
    FILE *f;

    err = (struct cdx_err){0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(a, sizeof a, "%s/search-r4.csv", dir);
    snprintf(b, sizeof b, "%s/patient-compartment-r4.csv", dir);
    f = fopen(a, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(search, f);
    fclose(f);
    f = fopen(b, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(compartment, f);
    fclose(f);
    cdx_definitions_destroy(cdx_definitions_load(dir, &err));
    unlink(a);
    unlink(b);
    rmdir(dir);
    return err.text;
}

#define HEAD "resource,code,type,expression,targets\n"
#define ROW "Flag,patient,reference,Flag.subject.where(resolve() is Patient),Patient\n"

static const struct {
    const char *search, *compartment, *says;
} broken[] = {
    {HEAD ROW, "resource,param\nFlag,patient\n", ""},
    {HEAD "Flag,\"patient\",reference,\"Flag.subject\",Patient\r\n",
     "resource,param\r\nFlag,patient\r\n", ""},
    {"a,b\n", "resource,param\n", "search-r4.csv line 1"},
    {HEAD ROW "Flag,x\n", "resource,param\n", "search-r4.csv line 3"},
    {HEAD ROW ROW, "resource,param\n", "search-r4.csv line 3"},
    {HEAD ROW "Goal,a,token,Goal.a,\nFlag,b,token,Flag.b,\n", "resource,param\n",
     "search-r4.csv line 4"},
    {HEAD "Flag,a,colour,Flag.a,\n", "resource,param\n", "unknown parameter type"},
    {HEAD ROW, "resource,param\nFlag,patient\nFlag,subject\n", "patient-compartment-r4.csv line 3"},
    {HEAD ROW, "resource,param\nFlagg,patient\n", "patient-compartment-r4.csv line 2"},
    {HEAD ROW, "resource,param\nFlag\n", "patient-compartment-r4.csv line 2"},
    {HEAD "Flag,status,token,Flag.status,\n", "resource,param\nFlag,status\n",
     "no reference parameter"},
};

static void wrong_files_are_told_by_line(void)
{
    for (size_t i = 0; i < CDX_COUNT(broken); i++) {
        const char *text = load_files(broken[i].search, broken[i].compartment);
        if (broken[i].says[0] == '\0')
            CU_ASSERT_STRING_EQUAL(text, "");
        CU_ASSERT_PTR_NOT_NULL(strstr(text, broken[i].says));
    }
}

static void a_missing_folder_is_told(void)
{
    struct cdx_err err = {0};

    CU_ASSERT_PTR_NULL(cdx_definitions_load("tests/cases/no-such-folder", &err));
    CU_ASSERT_EQUAL(err.code, CDX_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "search-r4.csv"));
}

static CU_TestInfo tests[] = {
    {"simple expressions become paths", simple_expressions_become_paths},
    {"other expressions keep their reason", other_expressions_keep_their_reason},
    {"compartment holds the rows of FHIR", compartment_holds_the_rows_of_fhir},
    {"no type with a patient is forgotten", no_type_with_a_patient_is_forgotten},
    {"wrong files are told by line", wrong_files_are_told_by_line},
    {"a missing folder is told", a_missing_folder_is_told},
    CU_TEST_INFO_NULL,
};
const CU_SuiteInfo suite_match_definitions = {
    .pName = "match/definitions", .pInitFunc = load, .pCleanupFunc = unload, .pTests = tests};
