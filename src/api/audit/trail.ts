/** What is written about one request, stage by stage (audit.k8s.io/v1 Event). */
import { type AuditPolicy, judge, type Stage, type Verdict } from "#api/audit/policy.ts";
import { hasOpenBody, withoutCredentials } from "#api/audit/redact.ts";
import { readBody } from "#api/body.ts";
import type { Annotate, RequestEnv, UserInfo } from "#api/core.ts";
import { piecesOf, slicesOf } from "#api/slices.ts";
import type { Target } from "#api/target.ts";
import { wholeBodyOf } from "#api/whole.ts";
import { limits } from "#base/limits.ts";
import { printableJson } from "#base/printable.ts";
import { decodeProtobuf } from "#resources/protobuf.ts";

export interface TrailParts {
  readonly policy: AuditPolicy;
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly uuid: () => string;
}

export interface Subject {
  readonly request: Request;
  readonly env: RequestEnv;
  /** Path and query as they were sent. */
  readonly uri: string;
  readonly verb: string;
  readonly path: string;
  readonly target: Target | undefined;
}

const micro = (nowMs: number): string => new Date(nowMs).toISOString().replace("Z", "000Z");

const userOf = ({ name, uid, groups, extra }: UserInfo) => ({
  username: name,
  ...(uid !== undefined && { uid }),
  groups: [...groups],
  ...(extra !== undefined && { extra }),
});

/** What a body says; undefined where it is no object, or too long. */
function parsedOf(body: string | Uint8Array | undefined): unknown {
  if (body === undefined || body.length === 0 || body.length > limits.auditObjectBytesMax) return;
  try {
    return typeof body === "string" ? JSON.parse(body) : decodeProtobuf(body);
  } catch {
    return undefined;
  }
}

interface Managed {
  metadata?: { managedFields?: unknown };
  items?: Managed[];
}

/** A body without what the policy leaves out. It belongs to the log. */
function shownOf(body: unknown, verdict: Verdict): unknown {
  if (!verdict.omitManagedFields || typeof body !== "object" || body === null) return body;
  const object = body as Managed;
  const items = Array.isArray(object.items) ? object.items : [];
  for (const { metadata } of [object, ...items]) delete metadata?.managedFields;
  return object;
}

interface Outcome {
  readonly code: number;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
}

export class Trail {
  readonly id: string;
  readonly #parts: TrailParts;
  readonly #subject: Subject;
  readonly #receivedMs: number;
  #verdict: Verdict | undefined;
  #user: UserInfo | undefined;
  #actingAs: UserInfo | undefined;
  #requestBody: Promise<unknown> | undefined;
  readonly #annotations = new Map<string, string>();

  constructor(parts: TrailParts, subject: Subject) {
    this.#parts = parts;
    this.#subject = subject;
    this.#receivedMs = parts.now();
    this.id = subject.request.headers.get("audit-id")?.slice(0, 64) || parts.uuid();
  }

  /** Who asks is known: from here on the policy can say what is written. */
  identified(user: UserInfo): void {
    const { verb, path, target, request } = this.#subject;
    this.#user = user;
    const verdict = judge(this.#parts.policy, { user, verb, path, target });
    this.#verdict = verdict;
    // The body of an unauthenticated request is not read.
    if (this.#showsBodies(verdict) && user !== UNKNOWN && request.body !== null) {
      const length = Number(request.headers.get("content-length") ?? 0);
      this.#requestBody =
        length > limits.auditObjectBytesMax
          ? undefined
          : readBody(request.clone()).then(
              ({ raw }) => raw,
              () => undefined,
            );
    }
    void this.#write("RequestReceived");
  }

  #showsBodies({ level }: Verdict): boolean {
    return (
      (level === "Request" || level === "RequestResponse") && hasOpenBody(this.#subject.target)
    );
  }

  /** What admission has to say; of each key the first word counts, as upstream. */
  readonly annotate: Annotate = (key, value) => {
    if (!this.#annotations.has(key)) this.#annotations.set(key, value);
  };

  actsAs(user: UserInfo): void {
    this.#actingAs = user;
  }

  /** The answer as it goes out; a stream is followed to its end. */
  answered(response: Response): Response {
    if (this.#verdict === undefined) this.identified(UNKNOWN);
    if (this.#verdict?.level === "None") return response;
    response.headers.set("audit-id", this.id);
    const outcome = { code: response.status };
    const text = wholeBodyOf(response);
    const inParts = slicesOf(response) ?? piecesOf(response);
    const long = text === undefined && inParts === undefined && response.body !== null;
    if (!long) {
      void this.#write("ResponseComplete", outcome, text);
      return response;
    }
    void this.#write("ResponseStarted", outcome);
    return new Response(
      followed(response.body, () => this.#write("ResponseComplete", outcome)),
      {
        status: response.status,
        headers: response.headers,
      },
    );
  }

  async #write(stage: Stage, outcome?: Outcome, text?: string | Uint8Array): Promise<void> {
    const verdict = this.#verdict;
    if (verdict === undefined || verdict.level === "None" || verdict.omitStages.has(stage)) return;
    const stageMs = this.#parts.now();
    const received = stage === "RequestReceived";
    const request = received ? undefined : await this.#requestBody;
    const shows = verdict.level === "RequestResponse" && this.#showsBodies(verdict);
    const answer = shows ? parsedOf(text) : undefined;
    const failed = outcome !== undefined && outcome.code >= 400;
    this.#parts.write(
      printableJson({
        kind: "Event",
        apiVersion: "audit.k8s.io/v1",
        level: verdict.level,
        auditID: this.id,
        stage,
        ...this.#about(),
        ...(outcome !== undefined && {
          responseStatus: {
            metadata: {},
            ...(failed && failureOf(parsedOf(text))),
            code: outcome.code,
          },
        }),
        ...(request !== undefined && { requestObject: shownOf(request, verdict) }),
        ...(answer !== undefined && { responseObject: shownOf(answer, verdict) }),
        requestReceivedTimestamp: micro(this.#receivedMs),
        stageTimestamp: micro(stageMs),
        ...(this.#annotations.size > 0 && { annotations: Object.fromEntries(this.#annotations) }),
      }),
    );
  }

  #about() {
    const { request, env, uri, verb, target } = this.#subject;
    const agent = request.headers.get("user-agent");
    const acting = this.#actingAs;
    return {
      requestURI: withoutCredentials(uri, target !== undefined),
      verb,
      user: userOf(this.#user ?? UNKNOWN),
      ...(acting !== undefined && { impersonatedUser: userOf(acting) }),
      ...(env.remoteAddress !== undefined && { sourceIPs: [env.remoteAddress] }),
      ...(agent !== null && { userAgent: agent }),
      ...(target !== undefined && {
        objectRef: {
          resource: target.plural,
          ...(target.namespace !== undefined && { namespace: target.namespace }),
          ...(target.name !== undefined && { name: target.name }),
          ...(target.group !== "" && { apiGroup: target.group }),
          apiVersion: target.version,
          ...(target.subresource !== undefined && { subresource: target.subresource }),
        },
      }),
    };
  }
}

/** Whom no credential names. */
const UNKNOWN: UserInfo = { name: "", groups: [] };

function failureOf(answer: unknown): Partial<Outcome> {
  if (typeof answer !== "object" || answer === null) return {};
  const { status, reason, message } = answer as Outcome;
  return {
    ...(status !== undefined && { status }),
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
  };
}

function followed(
  body: ReadableStream<Uint8Array> | null,
  onEnd: () => void,
): ReadableStream<Uint8Array> | null {
  if (body === null) return null;
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await reader.read();
          if (next.done !== true) return controller.enqueue(next.value);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        onEnd();
      },
      async cancel(reason) {
        onEnd();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
