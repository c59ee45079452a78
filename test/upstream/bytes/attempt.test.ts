import t from "tap";
import { wireCheck } from "../../support/both-checks.ts";
import { attemptsSuite } from "../attempts-suite.ts";

attemptsSuite(t, wireCheck);
