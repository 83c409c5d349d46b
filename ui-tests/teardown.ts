/** Leaves nothing running and nothing behind: services outlive the server that started them. */
import { rmSync } from 'node:fs';
import { HOME, TOKEN, URL } from './server.js';

interface IService {
  ref: { engine: string; context: string; namespace: string; name: string };
}

export default async function teardown(): Promise<void> {
  const headers = { Authorization: `token ${TOKEN}` };
  const answer = await fetch(`${URL}/kale-serve-ext/services`, { headers });
  const { items } = (await answer.json()) as { items: IService[] };
  for (const { ref } of items) {
    const path = [ref.engine, ref.context, ref.namespace, ref.name]
      .map(encodeURIComponent)
      .join('/');
    await fetch(`${URL}/kale-serve-ext/services/${path}`, {
      method: 'DELETE',
      headers
    });
  }
  rmSync(HOME, {
    recursive: true,
    force: true,
    maxRetries: 5,
    retryDelay: 500
  });
}
