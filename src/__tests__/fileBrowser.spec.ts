import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ContentsManager, Drive } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import { CommandIDs } from '../commandIDs';
import { addFileCommand, ModelFiles } from '../fileBrowser';
import { openServeDialog } from '../serve/dialog';
import { FakeServer, makeKale, settled, trans } from './fixtures';

// What is asked of the dialog is what counts here.
jest.mock('../serve/dialog', () => ({
  openServeDialog: jest.fn().mockResolvedValue(null)
}));

const FORMATS: Record<string, string> = {
  'notes.txt': '',
  'data.json': '',
  'booster.txt': 'lightgbm',
  finalized: 'sklearn',
  folder: 'sklearn'
};

function setUp() {
  const server = new FakeServer().on('GET files', ({ query }) => ({
    json: { format: FORMATS[query.get('path') ?? ''] }
  }));
  const onModel = jest.fn();
  const files = new ModelFiles(server.client, onModel);
  const look = (path: string, type = 'file', last_modified = '1') =>
    files.isModel({ type, last_modified }, path);
  return { server, onModel, look };
}

describe('ModelFiles', () => {
  it.each(Object.keys(FORMATS).map(path => [path, FORMATS[path] !== '']))(
    'tells of %s what the server tells: %s',
    async (path, expected) => {
      const { onModel, look } = setUp();
      expect(look(String(path))).toBe(false);
      await settled();
      expect(look(String(path))).toBe(expected);
      // Whoever has drawn a menu meanwhile draws it anew.
      expect(onModel).toHaveBeenCalledTimes(expected ? 1 : 0);
    }
  );

  it('asks once for each state of a file', async () => {
    const { server, look } = setUp();
    for (let i = 0; i < 3; i++) {
      look('finalized');
    }
    await settled();
    look('finalized');
    expect(server.sent).toHaveLength(1);
    expect(look('finalized', 'file', '2')).toBe(false);
    await settled();
    expect(server.sent).toHaveLength(2);
  });

  it('asks of a folder again a second later, and believes the new answer', async () => {
    jest.useFakeTimers();
    try {
      const { server, onModel, look } = setUp();
      const answered = () => jest.advanceTimersByTimeAsync(10);
      look('folder', 'directory');
      await answered();
      expect(look('folder', 'directory')).toBe(true);
      await answered();
      // The same look is not asked for twice.
      expect(server.sent).toHaveLength(1);

      server.on('GET files', { format: '' });
      await jest.advanceTimersByTimeAsync(1000);
      // What was known is shown until the answer is there.
      expect(look('folder', 'directory')).toBe(true);
      await answered();
      expect(server.sent).toHaveLength(2);
      expect(look('folder', 'directory')).toBe(false);
      expect(onModel).toHaveBeenCalledTimes(1);
    } finally {
      jest.useRealTimers();
    }
  });

  it('asks nothing of notebooks, and takes no answer for none', async () => {
    const { server, look } = setUp();
    look('train.ipynb', 'notebook');
    expect(server.sent).toHaveLength(0);
    server.fail('GET files', 404, { reason: 'NotFound' });
    look('finalized');
    await settled();
    expect(look('finalized')).toBe(false);
  });
});

describe('the command that serves a file', () => {
  it.each([
    ['finalized', 'finalized'],
    ['RTC:finalized', 'finalized'],
    ['a:finalized', 'a:finalized'],
    ['S3:finalized', null]
  ])(
    'is about the server’s own drive: of %s it asks for %s',
    async (path, asked) => {
      const server = new FakeServer().on('GET files', { format: 'sklearn' });
      const commands = new CommandRegistry();
      const contents = new ContentsManager();
      for (const name of ['RTC', 'S3']) {
        contents.addDrive(new Drive({ name }));
      }
      const item = { path, type: 'file', last_modified: '1' };
      const currentWidget = { selectedItems: () => [item] };
      addFileCommand({
        app: {
          commands,
          contextMenu: { menu: { isAttached: false } },
          serviceManager: { contents }
        } as unknown as JupyterFrontEnd,
        kale: makeKale(server),
        panel: { reveal: () => undefined },
        browsers: {
          tracker: { currentWidget }
        } as unknown as IFileBrowserFactory,
        trans
      });
      expect(commands.isVisible(CommandIDs.serveFile)).toBe(false);
      await settled();
      const isOwn = asked !== null;
      expect(commands.isVisible(CommandIDs.serveFile)).toBe(isOwn);
      expect(
        server.of('GET files').map(({ query }) => query.get('path'))
      ).toEqual(isOwn ? [asked] : []);

      jest.mocked(openServeDialog).mockClear();
      await commands.execute(CommandIDs.serveFile, { path });
      expect(
        jest.mocked(openServeDialog).mock.calls.map(([{ subject }]) => subject)
      ).toEqual(isOwn ? [{ path: asked }] : []);
      contents.dispose();
    }
  );
});
