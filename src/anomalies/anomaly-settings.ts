import { wholeNumbers } from "../settings/definition.ts";

const blockMinutes = { default: 0, minimum: 0, maximum: 10_080 };

/** When failed sign-ins are a burst. */
export const failedSignInsSetting = wholeNumbers(
  "failedSignInAnomaly",
  "A burst of failed sign-ins: `count` of one account, or from one address, within `minutes`. 0 as `count` looks for none. For `blockMinutes` nobody can then sign in to the account, or from the address; sessions and keys work on. 0 blocks nothing.",
  {
    count: { default: 30, minimum: 0, maximum: 100_000 },
    minutes: { default: 10, minimum: 1, maximum: 1440 },
    blockMinutes,
  },
);

/** When a key is used from too many places. */
export const keyAddressesSetting = wholeNumbers(
  "keyAddressAnomaly",
  "An API key used from many addresses: `count` different ones within `minutes`; of IPv6 the first 64 bits count. 0 as `count` looks for none. For `blockMinutes` the key is refused; 0 blocks nothing.",
  {
    count: { default: 20, minimum: 0, maximum: 200 },
    minutes: { default: 60, minimum: 1, maximum: 1440 },
    blockMinutes,
  },
);

/** When somebody spends far more than they use to. */
export const spendSetting = wholeNumbers(
  "spendAnomaly",
  "Spend far above a user's own: in the last 24 hours more than `factor` times the mean of those of the 14 days before on which they spent anything. A mean below `leastMicros` (millionths of a US dollar) counts as that. 0 as `factor` looks for none. For `blockMinutes` nothing of the user's is accepted; 0 blocks nothing.",
  {
    factor: { default: 5, minimum: 0, maximum: 1000 },
    leastMicros: { default: 1_000_000, minimum: 1, maximum: 1_000_000_000_000 },
    blockMinutes,
  },
);

/** All settings of anomalies. */
export const anomalySettings = [failedSignInsSetting, keyAddressesSetting, spendSetting] as const;
