import t from "tap";
import { check } from "../../support/fixtures.ts";
import { attemptsSuite } from "../attempts-suite.ts";

attemptsSuite(t, (headers) => check({ headers }));
