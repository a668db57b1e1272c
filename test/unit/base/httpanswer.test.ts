import { expect, test } from "bun:test";
import { isBodiless, statusOf } from "#base/httpanswer.ts";

test.each([
  ["HTTP/1.1 200 OK", 200],
  ["HTTP/1.0 404 Not Found\r\nServer: a", 404],
  ["HTTP/1.1 204", 204],
  ["HTTP/1.1 204\r\nServer: a", 204],
  ["HTTP/1.1 200 ", 200],
  ["HTTP/1.1 2000 OK", undefined],
  ["HTTP/1.1 20 OK", undefined],
  ["HTTP/1.1 200OK", undefined],
  ["HTTP/1.1  200 OK", undefined],
  ["HTTP/1.2 200 OK", undefined],
  ["HTTP/2 200", undefined],
  ["SSH-2.0-x", undefined],
  ["", undefined],
])("the status of %j", (head, status) => {
  expect(statusOf(head)).toBe(status);
});

test("no body comes of HEAD, nor with some statuses", () => {
  const bodiless = (method: string) =>
    [101, 103, 200, 204, 206, 304, 404].filter((status) => isBodiless(method, status));
  expect(bodiless("GET")).toEqual([101, 103, 204, 304]);
  expect(bodiless("HEAD")).toHaveLength(7);
});
