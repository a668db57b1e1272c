/** Path and query for the log. A token may stand in neither. */
const TOKEN = /([?&](?:access_)?token=)[^&]*/gi;

export const bearerlessUri = (uri: string): string => uri.replace(TOKEN, "$1***");
