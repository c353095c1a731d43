"""
A hospital's feed for the tests: versions of resources, and the same with members and bystanders told apart.

In:    a seed.
Out:   (partition, key, value) to produce; the same seed gives the same feed.

One resource always goes to one partition. Values are written as no library would write them (spaces, 1.10, escapes,
non-ASCII), so that whoever parses and writes them again is found out.
"""
import random
import zlib

TYPES = ("Patient", "Encounter", "Observation")


class Feed:
    def __init__(self, seed, patients=20, partitions=4, prefix="", filler=600):
        self.random = random.Random(seed)
        self.patients = ["%sp%d" % (prefix, i) for i in range(patients)]
        self.partitions, self.prefix, self.filler = partitions, prefix, filler
        self.versions, self.owner = {}, {}

    def key(self, reference):
        return zlib.crc32(reference.encode()) % self.partitions, reference.encode()

    def write(self, kind, ident, patient):
        """The next version of one resource; `patient` as its subject."""
        reference = "%s/%s" % (kind, ident)
        version = self.versions[reference] = self.versions.get(reference, 0) + 1
        self.owner[reference] = patient
        head = '{ "resourceType" : "%s",\n "id":"%s" , "meta": {"versionId":"%d","lastUpdated":"2026-01-05T10:00:%02d.%03dZ"},' % (
            kind, ident, version, version % 60, version % 1000)
        text = "".join(self.random.choice("abcdefghijklmnop ") for _ in range(self.filler))
        about = {
            "Patient": '"active" : true ,"birthDate":"1980-01-01",',
            "Encounter": '"status":"finished","class":{"code":"IMP"}, "subject" : {"reference":"Patient/%s"},' % patient,
            "Observation": '"status":"final","code":{"text":"K\\u002b \\/ \u00e4\u20ac"},"subject":{"reference":"Patient/%s"},'
                           '"valueQuantity":{"value": 1.10 ,"unit":"mmol\\/L"},' % patient,
        }[kind]
        narrative = '"text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">%s</div>"}  }' % text
        return self.key(reference) + ((head + about + narrative).encode(),)

    def delete(self, reference):
        return self.key(reference) + (None,)

    def changes(self, n, deletes=0.0):
        """n changes of Patients, Encounters and Observations; this share of them deletes what exists."""
        for _ in range(n):
            if deletes and self.owner and self.random.random() < deletes:
                reference = self.random.choice(sorted(self.owner))
                del self.owner[reference]
                yield self.delete(reference)
                continue
            patient = self.random.choice(self.patients)
            kind = self.random.choice(TYPES)
            yield self.write(kind, patient if kind == "Patient" else "%s-%s%d" % (patient, kind[0].lower(), self.random.randrange(5)), patient)
