/** Where Kubernetes is not followed to the letter, and why. */

export interface Exception {
  /** Of the step's name. */
  readonly step: RegExp;
  /** Of the place in the answer, and what is there. */
  readonly at: RegExp;
  readonly why: string;
}

const MESSAGE = /^\.body\.(message|details\.causes\[\d+\]\.message)/;

const UNDECODED =
  /^protocol: create of (bad YAML|YAML of a list|nothing|a string|null)$|^protocol: strictly, /;
const ANSWERED_500 =
  /^objects: (an unknown directive|a container without a name|a bad body|binding to (no node|a pod))$/;
const UNPATCHABLE =
  /^objects: (a string for a map|replicas that|an unknown field$|a list for a patch|no JSON|another (kind|version))/;
const PRINTED_OTHERWISE =
  /^objects: (host network|ephemeral by the pod|grace below nothing|a new finalizer|both ways)/;

/** Everywhere but in the status code. */
const IN_BODY = /^\.(body|warnings)/;

export const exceptions: readonly Exception[] = [
  {
    step: /^v1 Endpoints: /,
    at: /^\.warnings/,
    why: "requests that Kubernetes' router refuses never meet the kind that would warn",
  },
  {
    step: /: (create without a name|create with a bad name)$/,
    at: /^\.body\.(message|details\.causes)/,
    why: "an object without a name that is checked twice is told of both",
  },
  {
    step: /: list by an unknown field$/,
    at: /^\.body\.message/,
    why: "three wordings of one refusal",
  },
  {
    step: /^(apps\/v1 ControllerRevision|networking.k8s.io\/v1 NetworkPolicy): /,
    at: /managedFields/,
    why: "raw data is owned field by field, an empty selector as a whole",
  },
  {
    step: /^storage.k8s.io\/v1 CSIDriver: /,
    at: /metadata\.generation/,
    why: "generations are counted from the creation on, as of every other kind",
  },
  {
    step: /^storage.k8s.io\/v1 CSINode: /,
    at: /managedFields|message|causes/,
    why: "nobody owns a list that is empty",
  },
  {
    step: /^(discovery.k8s.io\/v1 EndpointSlice): /,
    at: /generation/,
    why: "labels are no part of what the generation counts",
  },
  {
    step: /^certificates.k8s.io\/v1 CertificateSigningRequest: /,
    at: /spec\.uid/,
    why: "the administrator of the record has a uid",
  },
  {
    step: /^admissionregistration.k8s.io\/v1 ValidatingAdmissionPolicy: /,
    at: /managedFields|status/,
    why: "a controller that runs beside the API here looks at policies there",
  },
  {
    step: /^apiextensions.k8s.io\/v1 CustomResourceDefinition: delete again$/,
    at: /./,
    why: "its finalizer has run by then, or not yet",
  },
  {
    step: /^apiextensions.k8s.io\/v1 CustomResourceDefinition: /,
    at: /managedFields|finalizers|status|conditions|generation|message|details/,
    why: "what controllers do later there is done at once here",
  },
  {
    step: /^(storage.k8s.io\/v1 CSIStorageCapacity|networking.k8s.io\/v1 IPAddress): .*table/,
    at: /columnDefinitions|rows/,
    why: "Kubernetes has columns for them that it does not show, or shows without a head",
  },
  {
    step: /^flowcontrol.apiserver.k8s.io\/v1 FlowSchema: /,
    at: /managedFields|status|cells/,
    why: "a controller beside the API says there that its level is missing",
  },
  {
    step: /^(networking.k8s.io\/v1 ServiceCIDR|resource.k8s.io\/v1 ResourceClaim): /,
    at: /managedFields/,
    why: "nobody owns labels that a write of the status cannot set",
  },
  {
    step: /^apiregistration.k8s.io\/v1 APIService: /,
    at: /lastTransitionTime/,
    why: "what is always so has no time at which it became so",
  },
  {
    step: /: merge a bad label$/,
    at: IN_BODY,
    why: "Go tells of several labels in the order of its maps, which is none",
  },
  {
    step: /^protocol: .*(continue=x|resourceVersionMatch=(Some|Exact))/,
    at: MESSAGE,
    why: "the words of Go's parsers; of several faults the first is told",
  },
  {
    step: /^protocol: .*resourceVersionMatch=Exact/,
    at: /causes/,
    why: "of several faults the first is told",
  },
  {
    step: /^protocol: list resourceVersion=0 limit=1$/,
    at: /items|continue|remainingItemCount/,
    why: "Kubernetes' cache ignores the limit; here a page is a page",
  },
  {
    step: /^protocol: list continue=eyJ/,
    at: /./,
    why: "revision 1 is not compacted in a fresh etcd",
  },
  {
    step: /^protocol: (list|get) as |^protocol: (table with Some|list pretty=true)$/,
    at: /^\.body:/,
    why: "refusals and pretty answers in another layout",
  },
  {
    step: /^protocol: (list|get) as application.json;as=PartialObjectMetadata/,
    at: /./,
    why: "the list of metadata and the metadata of one object are taken for one another",
  },
  {
    step: /^protocol: (list|get) as .*v=v1beta1/,
    at: /./,
    why: "tables of the beta version are of before v1.15; such a client gets the object",
  },
  {
    step: UNDECODED,
    at: /./,
    why: "the words of Go's decoders; nothing is no object here",
  },
  {
    step: /^protocol: create of JSON of another charset$/,
    at: /managedFields/,
    why: "nobody owns a map that is empty",
  },
  {
    step: /^protocol: create of a doubled field$/,
    at: /warnings/,
    why: "looking for doubled fields costs: it is done where fieldValidation asks for it",
  },
  {
    step: /^protocol: (create of a revision|path .*resourceVersion=x)$/,
    at: /./,
    why: "Kubernetes answers 500 to what is the client's fault",
  },
  {
    step: /^protocol: create of (a bad generateName|an owner of nothing|somebody's fields)$/,
    at: IN_BODY,
    why: "more or fewer causes of one fault",
  },
  {
    step: /^protocol: path \/($|apis$|nothing|apis\/nothing|livez\/nothing|openapi\/v3\/nothing)/,
    at: /^\.(type|body)/,
    why: "what is not there is told by a Status everywhere; the root shows what is here",
  },
  {
    step: /^protocol: path .*resourceVersion=99999999$/,
    at: MESSAGE,
    why: "the revisions of another history",
  },
  {
    step: /^protocol: (POST \/version|DELETE \/apis\/apps)$/,
    at: /./,
    why: "what nobody asks",
  },
  {
    step: /^protocol: (aggregated|path \/api\/v1|resources of)/,
    at: /responseKind\.(version|group)|^\.body\.(apiVersion|items)|singularResource|singularName/,
    why: "kinds are told with their version, which the documents of Kubernetes leave out",
  },
  {
    step: ANSWERED_500,
    at: /./,
    why: "Kubernetes answers 500 to what is the client's fault",
  },
  {
    step: UNPATCHABLE,
    at: MESSAGE,
    why: "a whole object is in the message, or the words of Go's decoder",
  },
  {
    step: /^objects: JSON: /,
    at: /^\.body\.(message|details)/,
    why: "the message says which operation failed, where Kubernetes says only that one did",
  },
  {
    step: /^objects: another uid$/,
    at: /./,
    why: "another uid is a conflict, however it comes",
  },
  {
    step: /^objects: apply: (a doubled container|a wrong type|without a kind)$/,
    at: /./,
    why: "Kubernetes answers 500 to what is the client's fault",
  },
  {
    step: /^objects: apply: (shared|let go|remove a container|the status)$/,
    at: /managedFields\[\d+\]\.time:/,
    why: "an entry that only lost fields keeps its time",
  },
  {
    step: /^objects: (bound pod|image|ephemeral|a toleration|resize|delete )/,
    at: /managedFields|generation:/,
    why: "what a binding sets belongs to nobody here",
  },
  {
    step: PRINTED_OTHERWISE,
    at: MESSAGE,
    why: "the difference between two objects is printed in another way",
  },
  {
    step: /^objects: a new finalizer$/,
    at: /causes/,
    why: "the same cause twice",
  },
  {
    step: /^objects: (token bound to a map|exec without an upgrade|log since two times)$/,
    at: /^\.body/,
    why: "the first fault that is found is another one",
  },
  {
    step: /^(events.k8s.io\/v1 Event|autoscaling\/v1 HorizontalPodAutoscaler): /,
    at: /managedFields|message|causes|details\.group/,
    why: "owners are told in the version that is stored",
  },
  {
    step: /^v1 Event: get/,
    at: IN_BODY,
    why: "what is not there is told in one form, not pretty-printed for some",
  },
  {
    step: /^v1 Namespace: delete another/,
    at: IN_BODY,
    why: "the words for every other kind",
  },
  {
    step: /create (what is no (object|JSON)|another (kind|version))$/,
    at: MESSAGE,
    why: "the words of Go's decoder, which name its own types",
  },
  {
    step: /merge a (string for metadata|wrong status)$/,
    at: MESSAGE,
    why: "a whole object is in the message, in another order of its fields",
  },
  {
    step: /^v1 Node: /,
    at: /^\.body\..*taints/,
    why: "the node's controller taints it when it sees it, not admission",
  },
  {
    step: /^v1 Event: (create w|update with)|^v1 LimitRange: (create without|list)/,
    at: /./,
    why: "names that Kubernetes never checked, of old",
  },
  {
    step: /^policy\/v1 PodDisruptionBudget: (create with a bad name|list)/,
    at: /./,
    why: "a name that nothing checks upstream",
  },
  {
    step: /^apps\/v1 DaemonSet: /,
    at: /(managedFields|templateGeneration|template.generation)/,
    why: "nobody owns the annotation that the server sets for old clients",
  },
  {
    step: /: delete with other options$/,
    at: /^\.(code|body)/,
    why: "Kubernetes answers 500 to a wrong body; this is the client's fault: 400",
  },
  {
    step: /: watch$/,
    at: /^\.(code|body)/,
    why: "Kubernetes answers 500 to a wrong revision; this is the client's fault: 422",
  },
  {
    step: /: patch by JSON$/,
    at: /^\.body\.(message|details)/,
    why: "the message says which test failed, where Kubernetes says only that there was an error",
  },
];
