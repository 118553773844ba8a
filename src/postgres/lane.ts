import type { PgConnection, Submission } from "./submission.ts";

/** What we use of pg's Client. */
export interface PgClient {
  readonly connection: PgConnection;
  connect(): Promise<unknown>;
  query(submission: Submission): unknown;
  on(event: "error" | "end", listener: () => void): unknown;
  end(): Promise<void>;
}

/** One connection that runs statements one after the other; made again when it is lost. */
export interface Lane {
  /** Statements that were sent, or wait to be, and have not ended. */
  readonly underWay: number;
  /** Sends them in one write, once there is a connection. */
  send(submissions: Submission[]): void;
  /** Gives up the connection; what is under way fails. */
  giveUp(): void;
  /** Waits for what is under way and closes the connection. */
  close(): Promise<void>;
}

/** Connects when first used. After `timeoutMs` without a due answer it gives up its connection. */
export function createLane(createClient: () => PgClient, timeoutMs: number): Lane {
  let client: PgClient | undefined;
  let connecting: Promise<PgClient> | undefined;
  let underWay = 0;
  let timer: NodeJS.Timeout | undefined;
  let drained: (() => void) | undefined;
  let answers = 0;

  /** The timer may be late because this process was busy; then the answers lie in the socket, and are read first. */
  function giveUpUnlessAnswered() {
    const before = answers;
    setImmediate(() => {
      if (answers === before) client?.connection.stream.destroy();
    });
  }

  async function connect(): Promise<PgClient> {
    const fresh = createClient();
    const forget = () => {
      if (client === fresh) client = undefined;
    };
    fresh.on("error", forget);
    fresh.on("end", forget);
    try {
      await fresh.connect();
    } catch (error) {
      fresh.end().catch(forget);
      throw error;
    } finally {
      connecting = undefined;
    }
    client = fresh;
    return fresh;
  }

  function write(connected: PgClient, submissions: Submission[]) {
    const { stream } = connected.connection;
    stream.cork();
    for (const submission of submissions) connected.query(submission);
    stream.uncork();
  }

  function watch(submission: Submission) {
    const { ended } = submission;
    submission.ended = (failure) => {
      ended();
      answers += 1;
      if (isFatal(failure)) client = undefined;
      underWay -= 1;
      if (underWay > 0) {
        timer?.refresh();
        return;
      }
      clearTimeout(timer);
      timer = undefined;
      drained?.();
    };
  }

  return {
    get underWay() {
      return underWay;
    },
    send(submissions) {
      underWay += submissions.length;
      submissions.forEach(watch);
      timer ??= setTimeout(giveUpUnlessAnswered, timeoutMs);
      if (client !== undefined) {
        write(client, submissions);
        return;
      }
      connecting ??= connect();
      connecting.then(
        (connected) => write(connected, submissions),
        (error: Error) => {
          for (const submission of submissions) submission.handleError(error);
        },
      );
    },
    giveUp() {
      if (underWay > 0) client?.connection.stream.destroy();
    },
    async close() {
      if (underWay > 0) {
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
      }
      await client?.end();
    },
  };
}

/** PostgreSQL says goodbye before it closes a connection. */
function isFatal(failure: Error | undefined): boolean {
  return failure !== undefined && "severity" in failure && failure.severity === "FATAL";
}
