import { type SettingDefinition, wholeNumber } from "../settings/definition.ts";

/** How long an answer is given again to the same question. */
export const answerCacheSecondsSetting = wholeNumber(
  "answerCacheSeconds",
  "How long a complete answer is given again when exactly the same is asked, in seconds. 0: never.",
  { default: 300, minimum: 0, maximum: 86_400 },
);

const scopes = ["user", "everyone"] as const;

/** To whom an answer is given again. */
export const answerCacheScopeSetting: SettingDefinition<(typeof scopes)[number]> = {
  name: "answerCacheScope",
  meaning:
    "To whom an answer is given again: `user`, to the one who got it first, or `everyone` who asks exactly the same.",
  default: "user",
  parse(value, wrong) {
    return scopes.find((scope) => scope === value) ?? wrong("must be `user` or `everyone`");
  },
};

/** All settings of the cache of answers. */
export const answerCacheSettings = [answerCacheSecondsSetting, answerCacheScopeSetting] as const;
