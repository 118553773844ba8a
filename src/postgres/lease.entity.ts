import { defineEntity, p } from "@mikro-orm/core";

/** Work that one process at a time does, and until when nobody else is to begin it. */
export const LeaseEntity = defineEntity({
  name: "Lease",
  tableName: "leases",
  properties: {
    /** What is done. */
    name: p.text().primary(),
    expireTime: p.datetime(3),
  },
});
