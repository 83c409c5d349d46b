import type { ChatBody, ServiceRef } from '../../api/types';

/**
 * The same question as Python, to be pasted into a cell.
 */
export function asPython(target: ServiceRef, body: ChatBody): string {
  const { messages, prompt, ...options } = body;
  const call =
    messages === undefined
      ? `complete(${literal(prompt ?? '')}`
      : `chat(${literal(messages)}`;
  const given = Object.entries(options).map(
    ([name, value]) => `, ${name}=${literal(value)}`
  );
  const where = ['engine', 'namespace'] as const;
  const place = where.map(name => `, ${name}=${literal(target[name])}`);
  return [
    'from kale.serve import Endpoint',
    '',
    `endpoint = Endpoint(${literal(target.name)}${place.join('')})`,
    `reply = endpoint.${call}${given.join('')})`,
    'print(reply)',
    ''
  ].join('\n');
}

/**
 * What holds texts, numbers, lists and objects of these is written alike in JSON and in Python.
 */
function literal(value: unknown): string {
  return JSON.stringify(value);
}
