/** Writes docs/pod-fields.md: what of a pod's specification works, and the test that proves it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { podFieldsPage } from "#test/support/podfields.ts";

const docs = new URL("../docs/", import.meta.url).pathname;
mkdirSync(docs, { recursive: true });
writeFileSync(`${docs}pod-fields.md`, podFieldsPage());
