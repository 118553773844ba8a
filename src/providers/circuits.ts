import { createCircuit, DEFAULT_CIRCUIT, type Circuit, type CircuitPolicy } from "./circuit.ts";

/** Makes the circuits of a process. */
export interface Circuits {
  /** A closed circuit of this name, which must be the same in all processes. */
  create(name: string): Circuit;
}

/** Circuits that no other process knows of. */
export function createLocalCircuits(policy: Partial<CircuitPolicy> = {}): Circuits {
  const complete = { ...DEFAULT_CIRCUIT, ...policy };
  return { create: (name) => createCircuit(name, undefined, complete) };
}
