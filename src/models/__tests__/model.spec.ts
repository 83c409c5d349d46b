import {
  FakeServer,
  later,
  makeDetail,
  makeName,
  settled,
  trans
} from '../../__tests__/fixtures';
import type { ModelPage } from '../../api/types';
import { ModelListModel } from '../model';

function page(ids: number[], next_cursor = '', total = ids.length): ModelPage {
  return {
    items: ids.map(id => makeName({ id, name: `m${id}` })),
    next_cursor,
    total
  };
}

function setUp(server: FakeServer) {
  return new ModelListModel({ client: server.client, trans, delay: 20 });
}

const ids = (model: ModelListModel) => model.items.map(i => i.latest.id);

describe('ModelListModel', () => {
  it('asks nothing before it is started', async () => {
    const server = new FakeServer().on('GET models', page([1]));
    const model = setUp(server);
    model.query = 'iris';
    await settled();
    expect(server.sent).toHaveLength(0);
    model.start();
    await settled();
    expect(server.sent[0].query.get('search')).toBe('iris');
    expect(ids(model)).toEqual([1]);
    model.dispose();
  });

  it('searches once the typing pauses', async () => {
    const server = new FakeServer().on('GET models', page([1]));
    const model = setUp(server);
    model.start();
    await settled();
    server.sent.length = 0;
    for (const query of ['i', 'ir', 'iris']) {
      model.query = query;
    }
    await new Promise(done => setTimeout(done, 60));
    await settled();
    expect(server.sent.map(s => s.query.get('search'))).toEqual(['iris']);
    model.dispose();
  });

  it('drops the answer to a search that was given up', async () => {
    const slow = later<{ json: ModelPage }>();
    const server = new FakeServer().on('GET models', page([1]));
    const model = setUp(server);
    model.start();
    await settled();
    server.on('GET models', (sent: { query: URLSearchParams }) =>
      sent.query.get('search') === 'a' ? slow.promise : { json: page([2]) }
    );
    model.query = 'a';
    await new Promise(done => setTimeout(done, 40));
    model.query = 'b';
    await new Promise(done => setTimeout(done, 40));
    await settled();
    slow.resolve({ json: page([9]) });
    await settled();
    expect(ids(model)).toEqual([2]);
    expect(model.error).toBeNull();
    model.dispose();
  });

  it('adds pages by their cursor, each name once', async () => {
    const server = new FakeServer().on(
      'GET models',
      (sent: { query: URLSearchParams }) => ({
        json:
          sent.query.get('cursor') === 'next'
            ? page([2, 3], '', 3)
            : page([1, 2], 'next', 3)
      })
    );
    const model = setUp(server);
    model.start();
    await settled();
    expect(model.hasMore).toBe(true);
    await model.more();
    expect(ids(model)).toEqual([1, 2, 3]);
    expect(model.hasMore).toBe(false);
    expect(model.total).toBe(3);
    const asked = server.sent.length;
    await model.more();
    expect(server.sent).toHaveLength(asked);
    model.dispose();
  });

  it('adds what is new at the top, and keeps the pages below', async () => {
    let first = page([3, 2], 'next', 3);
    const server = new FakeServer().on(
      'GET models',
      (sent: { query: URLSearchParams }) => ({
        json: sent.query.get('cursor') === 'next' ? page([1], '', 3) : first
      })
    );
    const model = new ModelListModel({
      client: server.client,
      trans,
      pollInterval: 20
    });
    model.start();
    await settled();
    await model.more();
    first = page([4, 3], 'other', 4);
    const until = async (wanted: number[]) => {
      for (let i = 0; i < 200 && ids(model).join() !== wanted.join(); i++) {
        await new Promise(done => setTimeout(done, 10));
      }
      expect(ids(model)).toEqual(wanted);
    };
    await until([4, 3, 2, 1]);
    expect(model.total).toBe(4);
    // Nothing of the page is known: what lies between is not known either.
    first = page([9, 8], 'far', 9);
    await until([9, 8]);
    expect(model.hasMore).toBe(true);
    model.dispose();
  });

  it('keeps what it has when a list fails, and says why', async () => {
    const server = new FakeServer().on('GET models', page([1]));
    const model = setUp(server);
    model.start();
    await settled();
    server.fail('GET models', 503, { message: 'Metadata away.' });
    await model.refresh();
    expect(ids(model)).toEqual([1]);
    expect(model.error?.message).toBe('Metadata away.');
    server.on('GET models', page([2]));
    await model.refresh();
    expect(ids(model)).toEqual([2]);
    expect(model.error).toBeNull();
    model.dispose();
  });

  it('fetches the details of a model once, and again after an error', async () => {
    const server = new FakeServer().fail('GET models/1', 503, { message: 'x' });
    const model = setUp(server);
    await model.open(1);
    expect(model.detail(1)?.error?.message).toBe('x');
    server.on('GET models/1', makeDetail());
    await model.open(1);
    await model.open(1);
    expect(model.detail(1)?.value?.artifact.id).toBe(1);
    expect(server.of('GET models/1')).toHaveLength(2);
    model.dispose();
  });
});
