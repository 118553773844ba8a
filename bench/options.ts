/** What `npm run bench -- …` understands. */
import { parseArgs } from "node:util";

export interface BenchOptions {
  rounds: number;
  /** Seconds of a closed-loop measurement; an open-loop one takes as long. */
  seconds: number;
  /** Unary turns of each subject before the first round. */
  warmUp: number;
  /** Arrival rates of answers asked for whole, a second. */
  rates: number[];
  /** Arrival rates of streams, a second. */
  streamRates: number[];
  /** Turns at any time in the closed loop. */
  concurrency: number;
  /** Pieces of an answer that is asked for whole. */
  pieces: number;
  /** Pieces of a streamed answer. */
  streamPieces: number;
  /** Messages before the question. */
  historyMessages: number;
  /** Conversations that the turns rotate over. */
  conversations: number;
  /** Unary turns of the memory test; then nothing else is measured. */
  soak: number | undefined;
  /** The subjects to measure. */
  subjects: string[];
  /** The scenarios to measure. */
  scenarios: string[];
  /** Options of node for Tribe, to try them out. */
  nodeOptions: string[];
  /** Profile Tribe; then nothing else is measured. */
  profile: boolean;
}

const help = `npm run bench -- [options]

  --quick                under 90 seconds: fewer, shorter rounds and one arrival rate
  --soak TURNS           only Tribe: so many unary turns, memory every tenth of them
  --rest [ROUNDS CALLS]  only the REST edge: the transcoder, Connect JSON and routes by hand
  --profile              only Tribe: what it spends the CPU of a turn on
  --subjects LIST        tribe,portkey,llms (the default), bare, tribe-observed,tribe-quiet,tribe-silent
  --observability        what observing costs: only tribe-observed, tribe-quiet and tribe-silent
  --scenarios LIST       rest,grpc,sse,paced (the default)
  --node=OPTIONS         of node, for Tribe, to try them out
  --rounds N             3 (quick: 2)
  --seconds N            of each measurement: 5 (quick: 1.5)
  --warm-up TURNS        unary, before the first round: 4000 (quick: 1000)
  --concurrency N        of the closed loops: 16
  --rates LIST           arrivals a second, whole answers: 100,300 (quick: 200)
  --stream-rates LIST    arrivals a second, streams: 20,50 (quick: 30)
  --pieces N             pieces of an answer that is asked for whole: 16
  --stream-pieces N      pieces of a streamed answer: 100
  --history N            messages before the question, odd: 21
  --conversations N      that the turns rotate over: 200 (quick: 50)
`;

/** Reads the command line; prints the help and ends on `--help`. */
export function readOptions(commandLine: string[]): BenchOptions {
  const { values } = parseArgs({
    args: commandLine,
    options: {
      help: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      soak: { type: "string" },
      observability: { type: "boolean", default: false },
      subjects: { type: "string", default: "tribe,portkey,llms" },
      scenarios: { type: "string", default: "rest,grpc,sse,paced" },
      node: { type: "string", default: "" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      "warm-up": { type: "string" },
      concurrency: { type: "string", default: "16" },
      rates: { type: "string" },
      "stream-rates": { type: "string" },
      pieces: { type: "string", default: "16" },
      "stream-pieces": { type: "string", default: "100" },
      history: { type: "string", default: "21" },
      conversations: { type: "string" },
    },
  });
  if (values.help) {
    console.log(help);
    process.exit(0);
  }
  const { quick } = values;
  const historyMessages = positive("history", values.history);
  if (historyMessages % 2 === 0) throw new Error("--history: odd, it ends with a question");
  return {
    rounds: positive("rounds", values.rounds ?? (quick ? "2" : "3")),
    seconds: positive("seconds", values.seconds ?? (quick ? "1.5" : "5")),
    warmUp: positive("warm-up", values["warm-up"] ?? (quick ? "1000" : "4000")),
    rates: list("rates", values.rates ?? (quick ? "200" : "100,300")),
    streamRates: list("stream-rates", values["stream-rates"] ?? (quick ? "30" : "20,50")),
    concurrency: positive("concurrency", values.concurrency),
    pieces: positive("pieces", values.pieces),
    streamPieces: positive("stream-pieces", values["stream-pieces"]),
    historyMessages,
    conversations: positive("conversations", values.conversations ?? (quick ? "50" : "200")),
    soak: values.soak === undefined ? undefined : positive("soak", values.soak),
    subjects: values.observability
      ? ["tribe-observed", "tribe-quiet", "tribe-silent"]
      : values.subjects.split(","),
    scenarios: values.scenarios.split(","),
    nodeOptions: values.node.split(" ").filter(Boolean),
    profile: values.profile,
  };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new Error(`--${name}: a number above 0, not "${text}"`);
}

function list(name: string, text: string): number[] {
  return text.split(",").map((item) => positive(name, item));
}
