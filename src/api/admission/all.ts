/** The chain of admission, in upstream's order. A new plugin is a file and a line here. */

import { certificates } from "#api/admission/certificates.ts";
import { defaultClasses } from "#api/admission/defaultclasses.ts";
import { defaultTolerationSeconds } from "#api/admission/defaulttolerationseconds.ts";
import { limitRanger } from "#api/admission/limitranger.ts";
import { namespaceLifecycle } from "#api/admission/namespacelifecycle.ts";
import { nodeRestriction } from "#api/admission/noderestriction.ts";
import { podSecurity } from "#api/admission/podsecurity.ts";
import { priority } from "#api/admission/priority.ts";
import { rbacEscalation } from "#api/admission/rbacescalation.ts";
import { resourceQuota } from "#api/admission/resourcequota.ts";
import { runtimeClass } from "#api/admission/runtimeclass.ts";
import { serviceAccount } from "#api/admission/serviceaccount.ts";
import { serviceAddresses } from "#api/admission/serviceaddresses.ts";
import { tokenSecrets } from "#api/admission/tokensecrets.ts";
import { webhooks } from "#api/admission/webhooks.ts";
import type { MakePlugin } from "#api/admission.ts";
import { customResources } from "#api/custom/definitions.ts";
import { validatingPolicies } from "#api/policy/plugin.ts";

export const admissionPlugins: readonly MakePlugin[] = [
  namespaceLifecycle,
  serviceAccount,
  priority,
  defaultTolerationSeconds,
  defaultClasses,
  runtimeClass,
  limitRanger,
  // Changes first, then, after all that changes, its judgement: a plugin's two halves run apart.
  webhooks,
  serviceAddresses,
  tokenSecrets,
  customResources,
  rbacEscalation,
  certificates,
  nodeRestriction,
  podSecurity,
  validatingPolicies,
  // Last: what it charges is hard to take back.
  resourceQuota,
];
