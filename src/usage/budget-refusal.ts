import { DomainError } from "../errors.ts";
import type { RefusedReservation } from "./budget.repository.ts";

/** Runs that are under way may end any moment, and give back what they did not need. */
const reservedRetrySeconds = 2;

/** The budget does not pay for the call. */
export function budgetExhausted(refused: RefusedReservation): DomainError {
  const { subject, period, endTime, limitMicros, spentMicros, reservedMicros } = refused;
  const resetTime = new Date(endTime).toISOString();
  const isEveryones = subject === "everyone";
  const whose = isEveryones ? "the budget of everyone" : `the budget of ${subject}`;
  // What all others spend is nobody's business.
  const figures = isEveryones
    ? ""
    : `: ${dollars(spentMicros)} of ${dollars(limitMicros)} spent, ${dollars(reservedMicros)} reserved for runs under way`;
  const isOnlyReserved = reservedMicros > 0 && spentMicros + reservedMicros / 2 < limitMicros;
  const description = `${whose} for the ${period}${figures}; it begins anew at ${resetTime}`;
  return new DomainError(
    "RESOURCE_EXHAUSTED",
    "BUDGET_EXHAUSTED",
    `${whose} for the ${period} does not pay for this call; it begins anew at ${resetTime}`,
    {
      quotas: [{ subject, description }],
      retryAfterSeconds: isOnlyReserved ? reservedRetrySeconds : Math.max(1, refused.seconds),
      metadata: { subject, period, resetTime },
    },
  );
}

/** What the model costs is not known, so no budget could hold. */
export function priceUnknown(model: string): DomainError {
  return new DomainError(
    "FAILED_PRECONDITION",
    "MODEL_PRICE_UNKNOWN",
    `the price of model ${model} is not known, and a budget applies to this call; choose another model, or have an administrator give it a price in MODELS_FILE or set budgetsAllowUnpricedModels`,
    { metadata: { model } },
  );
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(6)}`;
}
