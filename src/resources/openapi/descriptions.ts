/**
 * The few descriptions that `kubectl explain` shows of every object; they begin as clients expect.
 */
export const API_VERSION =
  "APIVersion defines the group and version of the API that this object is written in.";

export const KIND = "Kind is the name of the type that this object is of, in CamelCase.";

export const METADATA = "Standard object's metadata: its name, labels, owners and history.";

/** Of ObjectMeta, by field. */
export const OBJECT_META_FIELDS: Readonly<Record<string, string>> = {
  annotations: "Annotations is a map of free texts, for tools and people.",
  creationTimestamp:
    "CreationTimestamp is a timestamp that the server sets when it makes the object.",
  deletionTimestamp: "DeletionTimestamp is the time at which the object is to be gone.",
  finalizers: "Finalizers must be empty before the object goes.",
  labels: "Labels is a map of short texts by which objects are selected.",
  name: "Name is unique among the objects of a kind in a namespace.",
  namespace: "Namespace is where the object's name is unique.",
  ownerReferences: "OwnerReferences names the objects that this one goes with.",
  resourceVersion: "ResourceVersion changes with every change of the object.",
  uid: "UID is unique in time and space.",
};
