import type { DeploymentAdjustment } from "./deployment.ts";
import { isWhole } from "./json-fields.ts";

type Wrong = (description: string) => never;

/** What an administrator changes of deployments without a restart: a setting, see settings/definition.ts. */
export const deploymentsSetting = {
  name: "deployments",
  default: {} as Readonly<Record<string, DeploymentAdjustment>>,
  meaning:
    'Deployments of models by name, as `/health/detailed` has them (`deployment:NAME`): `disabled` ones get no calls, `weight` (1 to 1000) takes the place of the one in MODELS_FILE. For example `{"fast/openai": {"disabled": true}, "fast/openai-2": {"weight": 3}}`. Names that there are none of are ignored, with a warning in the log.',
  parse(value: unknown, wrong: Wrong): Readonly<Record<string, DeploymentAdjustment>> {
    if (!isObject(value)) wrong("must be an object of deployments by name");
    for (const [name, adjustment] of Object.entries(value as object)) {
      if (!isObject(adjustment)) wrong(`must have an object for ${name}`);
      for (const [key, given] of Object.entries(adjustment as object)) {
        if (key === "disabled") {
          if (typeof given !== "boolean") wrong(`must have true or false as disabled of ${name}`);
        } else if (key === "weight") {
          const isRight = isWhole(given) && given >= 1 && given <= 1000;
          if (!isRight) wrong(`must have a whole number from 1 to 1000 as weight of ${name}`);
        } else wrong(`knows only disabled and weight, not "${key}" of ${name}`);
      }
    }
    return value as Readonly<Record<string, DeploymentAdjustment>>;
  },
};

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
