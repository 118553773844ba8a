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
