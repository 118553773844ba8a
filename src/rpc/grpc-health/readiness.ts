/** Whether traffic should come; what grpc.health.v1 tells. */
export interface Readiness {
  isReady(): boolean;
  /** Whether the process shuts down: it will not be ready again. */
  isClosing(): boolean;
  /** Calls back whenever one of the two has changed. Gives the function that ends it. */
  onChange(listener: () => void): () => void;
}
