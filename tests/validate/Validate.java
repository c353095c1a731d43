/* tests/validate/Validate.java -- are these files valid FHIR R4? Run from source: java -cp 'LIB/*' Validate.java FILE...
 *
 * HAPI's instance validator with R4's own definitions, and tests/validate/profiles/*.json: the rules of the guides'
 * profiles that we claim in meta.profile, and newer code systems. Prints `file: N errors` and each error; exit 1 if any. */
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

public class Validate {
    /* A bundle may hold two events of one resource: their entries repeat its fullUrl (bdl-7 exempts history) and focus
     * stays without version (subscriptions.md 1.12), so the reference has two matches by design. */
    private static final String REPEATED_FOCUS = "Multiple matches in bundle for reference";

    private static boolean isError(SingleValidationMessage m) {
        return m.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0
            && !(m.getMessage().startsWith(REPEATED_FOCUS) && m.getLocationString().contains(".parameter["));
    }

    private static FhirValidator validator(FhirContext r4, Path profiles) throws Exception {
        PrePopulatedValidationSupport ours = new PrePopulatedValidationSupport(r4);
        try (Stream<Path> files = Files.list(profiles)) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator)
                ours.addResource((IBaseResource) r4.newJsonParser().parseResource(Files.readString(file)));
        }
        /* Ours first: where R4 holds an older state of a code system, the newer one counts. */
        FhirInstanceValidator rules = new FhirInstanceValidator(new ValidationSupportChain(
            ours, new DefaultProfileValidationSupport(r4), new CommonCodeSystemsTerminologyService(r4),
            new InMemoryTerminologyServerValidationSupport(r4), new SnapshotGeneratingValidationSupport(r4)));
        rules.setErrorForUnknownProfiles(true);
        rules.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
        return r4.newValidator().registerValidatorModule(rules);
    }

    public static void main(String[] files) throws Exception {
        FhirContext r4 = FhirContext.forR4();
        Path profiles = Path.of(System.getProperty("profiles", "tests/validate/profiles"));
        FhirValidator validator = validator(r4, profiles);
        boolean failed = false;

        for (String file : files) {
            List<SingleValidationMessage> errors = new ArrayList<>();
            for (SingleValidationMessage m : validator.validateWithResult(Files.readString(Path.of(file))).getMessages()) {
                if (isError(m))
                    errors.add(m);
                else if (Boolean.getBoolean("warnings"))
                    System.out.println("  " + m.getSeverity() + " " + m.getLocationString() + ": " + m.getMessage());
            }
            System.out.println(file + ": " + errors.size() + " errors");
            for (SingleValidationMessage m : errors)
                System.out.println("  " + m.getLocationString() + ": " + m.getMessage());
            failed |= !errors.isEmpty();
        }
        System.exit(failed ? 1 : 0);
    }
}
