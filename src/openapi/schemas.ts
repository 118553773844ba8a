/** The schemas of messages and enums, each written once as a component. */
import type { DescEnum, DescMessage } from "@bufbuild/protobuf";
import { enumSchema } from "./enum-schema.ts";
import { objectSchema } from "./object-schema.ts";
import type { JsonObject, Schema } from "./types.ts";
import { wellKnownSchema } from "./well-known-schema.ts";

/** Writes schemas and collects the components that they refer to. */
export interface Schemas {
  /** The schema of a message type: a reference, unless JSON writes the type in a way of its own. */
  message(desc: DescMessage, rules?: JsonObject): Schema;
  /** A reference to an enum. */
  enum(desc: DescEnum): Schema;
  /** Takes a component of one's own; gives the reference. */
  add(name: string, schema: Schema): Schema;
  /** All components so far by their names, sorted. */
  components(): Record<string, Schema>;
}

/** Starts with no components. */
export function createSchemas(): Schemas {
  const names = new Map<DescMessage | DescEnum, string>();
  const components = new Map<string, Schema>();

  /** Without its package, if nothing else is called so. */
  function nameFor(desc: DescMessage | DescEnum): string {
    const prefix = desc.file.proto.package;
    const short = prefix === "" ? desc.typeName : desc.typeName.slice(prefix.length + 1);
    return components.has(short) ? desc.typeName : short;
  }

  function refer(desc: DescMessage | DescEnum, write: () => Schema): Schema {
    let name = names.get(desc);
    if (name === undefined) {
      name = nameFor(desc);
      names.set(desc, name);
      // Taken before it is written: types may contain themselves.
      components.set(name, {});
      components.set(name, write());
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  const schemas: Schemas = {
    message: (desc, rules = {}) =>
      wellKnownSchema(desc, rules) ?? refer(desc, () => objectSchema(desc, schemas)),
    enum: (desc) =>
      desc.typeName === "google.protobuf.NullValue"
        ? { type: "null" }
        : refer(desc, () => enumSchema(desc)),
    add(name, schema) {
      components.set(name, schema);
      return { $ref: `#/components/schemas/${name}` };
    },
    components() {
      const sorted = [...components].sort(([one], [other]) => (one < other ? -1 : 1));
      return Object.fromEntries(sorted);
    },
  };
  return schemas;
}
