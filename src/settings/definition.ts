/** A setting that may be changed without a restart. Its value is JSON. */
export interface SettingDefinition<Value> {
  /** In camel case, as the contract's JSON has it. */
  readonly name: string;
  /** What applies while it is not set. */
  readonly default: Value;
  /** What it means, with its unit and its legal values. */
  readonly meaning: string;
  /** The value, checked. Throws through `wrong` what would be right. */
  parse(value: unknown, wrong: (description: string) => never): Value;
}

/** A whole number. */
export function wholeNumber(
  name: string,
  meaning: string,
  options: { default: number; minimum: number; maximum: number },
): SettingDefinition<number> {
  const { minimum, maximum } = options;
  return {
    name,
    meaning,
    default: options.default,
    parse(value, wrong) {
      const isRight =
        Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum;
      return isRight
        ? Number(value)
        : wrong(`must be a whole number from ${minimum} to ${maximum}`);
    },
  };
}

/** A whole number among others that make up one setting. */
export interface NumberField {
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** An object of whole numbers; those that are left out have their default. */
export function wholeNumbers<Name extends string>(
  name: string,
  meaning: string,
  fields: Readonly<Record<Name, NumberField>>,
): SettingDefinition<Readonly<Record<Name, number>>> {
  const names = Object.keys(fields) as Name[];
  const defaults = Object.fromEntries(names.map((field) => [field, fields[field].default]));
  return {
    name,
    meaning,
    default: defaults as Record<Name, number>,
    parse(value, wrong) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        return wrong(`must be an object of ${names.join(", ")}`);
      }
      const given = value as Record<string, unknown>;
      const unknown = Object.keys(given).find((field) => !Object.hasOwn(fields, field));
      if (unknown !== undefined) wrong(`has no "${unknown}"; there are ${names.join(", ")}`);
      for (const field of names) {
        const number = given[field];
        const { minimum, maximum } = fields[field];
        if (number === undefined) continue;
        if (!Number.isInteger(number) || Number(number) < minimum || Number(number) > maximum) {
          wrong(`must have for ${field} a whole number from ${minimum} to ${maximum}`);
        }
      }
      return { ...defaults, ...given } as Record<Name, number>;
    },
  };
}
