/** Every function that expressions may call, by name; a new library is a line here. */
import { baseTypes } from "#api/cel/engine/checker.ts";
import type { Overload } from "#api/cel/engine/overload.ts";
import type { Type } from "#api/cel/engine/types.ts";
import { addresses, cidrType, ipType } from "#api/cel/functions/addresses.ts";
import { authorizerFunctions } from "#api/cel/functions/authorizer.ts";
import { conversions } from "#api/cel/functions/conversions.ts";
import { formats, formatType } from "#api/cel/functions/formats.ts";
import { lists } from "#api/cel/functions/lists.ts";
import { operators } from "#api/cel/functions/operators.ts";
import { optionals } from "#api/cel/functions/optionals.ts";
import { patterns } from "#api/cel/functions/patterns.ts";
import { quantityFunctions, quantityType, semverType } from "#api/cel/functions/quantities.ts";
import { strings } from "#api/cel/functions/strings.ts";
import { timeFunctions } from "#api/cel/functions/times.ts";
import { urls, urlType } from "#api/cel/functions/urls.ts";

const libraries: ReadonlyArray<readonly Overload[]> = [
  operators,
  conversions,
  strings,
  lists,
  patterns,
  timeFunctions,
  optionals,
  urls,
  addresses,
  quantityFunctions,
  formats,
  authorizerFunctions,
];

function byName(): ReadonlyMap<string, readonly Overload[]> {
  const table = new Map<string, Overload[]>();
  for (const overload of libraries.flat()) {
    const same = table.get(overload.name);
    if (same === undefined) table.set(overload.name, [overload]);
    else same.push(overload);
  }
  return table;
}

export const functions: ReadonlyMap<string, readonly Overload[]> = byName();

export const types: ReadonlyMap<string, Type> = new Map([
  ...baseTypes,
  ...[ipType, cidrType, urlType, quantityType, semverType, formatType].map(
    (type) => [type.name, type] as const,
  ),
]);
