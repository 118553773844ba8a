/** An environment variable that Tribe reads. README's table is checked against these. */
export interface ConfigKey {
  /** Name in the environment; `<name>_FILE` names a file that holds the value instead. */
  readonly name: string;
  /** What applies without it, in words. */
  readonly default: string;
  /** What it means, with its unit and its legal values. */
  readonly meaning: string;
}
