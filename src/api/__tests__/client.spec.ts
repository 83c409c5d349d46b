import { ReadableStream } from 'node:stream/web';
import { FakeServer, makeRef, makeService } from '../../__tests__/fixtures';
import { ApiError } from '../errors';

describe('KaleServeClient', () => {
  it('encodes every part of a service’s name', async () => {
    const server = new FakeServer().on('GET services/', { items: [] });
    const ref = { ...makeRef('a b'), context: 'arn:aws/cluster?x#y' };
    await server.client.events(ref);
    expect(server.sent[0].path).toBe(
      'services/local/arn%3Aaws%2Fcluster%3Fx%23y/default/a%20b/events'
    );
  });

  it('sends a search, and leaves out what is empty', async () => {
    const server = new FakeServer().on('GET models', {
      items: [],
      next_cursor: '',
      total: 0
    });
    await server.client.models({ search: 'a&b=c', cursor: '', limit: 20 });
    const { query } = server.sent[0];
    expect(query.get('search')).toBe('a&b=c');
    expect(query.get('limit')).toBe('20');
    expect(query.has('cursor')).toBe(false);
    expect(query.has('no_track_activity')).toBe(false);
  });

  it('does not count what only watches as activity', async () => {
    const server = new FakeServer().on('GET services', { items: [] });
    await server.client.services();
    expect(server.sent[0].query.get('no_track_activity')).toBe('1');
  });

  it('sends bodies as JSON', async () => {
    const server = new FakeServer().on('PATCH services/', makeService());
    await server.client.patch(makeRef(), { paused: true });
    expect(server.sent[0].body).toEqual({ paused: true });
  });

  it('rejects with the server’s message, hint and field', async () => {
    const server = new FakeServer().fail('POST plan', 400, {
      reason: 'InvalidName',
      message: 'Bad name.',
      hint: 'Use small letters.',
      field: 'name'
    });
    await expect(server.client.plan({ model_id: 1 })).rejects.toMatchObject({
      status: 400,
      reason: 'InvalidName',
      message: 'Bad name.',
      hint: 'Use small letters.',
      field: 'name'
    });
  });

  it('tells a server without the extension from a model that is not there', async () => {
    const server = new FakeServer().fail('GET models/7', 404, {
      reason: 'NotFound',
      message: 'No model 7.'
    });
    await expect(server.client.health()).rejects.toMatchObject({
      reason: 'ExtensionMissing'
    });
    await expect(server.client.model(7)).rejects.toMatchObject({
      reason: 'NotFound',
      message: 'No model 7.'
    });
  });

  it('says what a proxy answered, where that is not JSON', async () => {
    const server = new FakeServer().on('GET health', () => ({
      status: 502,
      text: '<html>Bad gateway</html>'
    }));
    await expect(server.client.health()).rejects.toThrow(/502/);
  });

  it('reads a log piece by piece, whatever the pieces cut through', async () => {
    const bytes = new TextEncoder().encode('Grüße\nzweite');
    const server = new FakeServer().on(
      'GET services/',
      () =>
        new Response(
          new ReadableStream<Uint8Array>({
            start: controller => {
              controller.enqueue(bytes.slice(0, 3));
              controller.enqueue(bytes.slice(3));
              controller.close();
            }
            // Node's type, which the browser's `Response` takes all the same.
          }) as unknown as BodyInit
        )
    );
    let text = '';
    for await (const piece of server.client.logs(makeRef(), {
      component: 'transformer',
      tail: 50,
      follow: true
    })) {
      text += piece;
    }
    expect(text).toBe('Grüße\nzweite');
    const { path, query } = server.sent[0];
    expect(path).toBe('services/local/localhost/default/iris/logs');
    expect(query.get('component')).toBe('transformer');
    expect(query.get('follow')).toBe('true');
  });
});

describe('ApiError', () => {
  it('keeps an error of ours, and takes in any other', async () => {
    const { trans } = await import('../../__tests__/fixtures');
    const ours = new ApiError({
      status: 409,
      reason: 'Conflict',
      message: 'x'
    });
    expect(ApiError.from(ours, trans)).toBe(ours);
    expect(ApiError.from('odd', trans).message).toBe('odd');
  });
});
