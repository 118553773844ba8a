/** How much each module logs, changed while the process runs. */
import type { Logger } from "./logger.ts";

/** The modules; each names itself in the `module` of its lines. */
export const logModules = [
  "app",
  "access",
  "calls",
  "chat",
  "conversations",
  "postgres",
  "redis",
  "usage",
] as const;

/** A part of Tribe that logs. */
export type LogModule = (typeof logModules)[number];

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** How much a module logs. */
export type ModuleLevels = Readonly<Partial<Record<LogModule, (typeof levels)[number]>>>;

/** Loggers of modules. */
export interface ModuleLoggers {
  of(module: LogModule): Logger;
  /** Sets levels; modules that are not named have the level of the root. */
  setLevels(levels: ModuleLevels): void;
}

/** Makes the loggers of all modules, with the level of the root. */
export function createModuleLoggers(root: Logger): ModuleLoggers {
  const loggers = new Map(logModules.map((module) => [module, root.child({ module })]));
  return {
    of: (module) => loggers.get(module) ?? root,
    setLevels(levels) {
      for (const [module, logger] of loggers) logger.level = levels[module] ?? root.level;
    },
  };
}

/** How much each module logs: a setting, see settings/definition.ts. */
export const logLevelsSetting = {
  name: "logLevels",
  default: {} as ModuleLevels,
  meaning: `How much each module logs, for example \`{"chat": "debug"}\`: one of ${levels.join(", ")}. Modules are ${logModules.join(", ")}; those that are left out have LOG_LEVEL.`,
  parse(value: unknown, wrong: (description: string) => never): ModuleLevels {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return wrong("must be an object of levels by module");
    }
    for (const [module, level] of Object.entries(value)) {
      if (!logModules.some((known) => known === module)) {
        wrong(`knows no module "${module}"; there are ${logModules.join(", ")}`);
      }
      if (!levels.some((known) => known === level)) {
        wrong(`must have for ${module} one of ${levels.join(", ")}`);
      }
    }
    return value as ModuleLevels;
  },
};
