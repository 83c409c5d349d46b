import type { JupyterFrontEnd } from '@jupyterlab/application';
import { CommandRegistry } from '@lumino/commands';
import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import schema from '../../schema/plugin.json';
import type { Service } from '../api/types';
import { CommandIDs } from '../commandIDs';
import { addCommands } from '../commands';
import { openServeDialog } from '../serve/dialog';
import {
  FakeServer,
  makeKale,
  makeName,
  makeRef,
  makeService,
  trans
} from './fixtures';

// What is asked of the dialog is what counts here.
jest.mock('../serve/dialog', () => ({
  openServeDialog: jest.fn().mockResolvedValue(null)
}));

// JupyterLab's dialogs use it, and the environment has none.
window.requestIdleCallback ??= callback =>
  window.setTimeout(() =>
    callback({ didTimeout: false, timeRemaining: () => 1 })
  );

function setUp() {
  const server = new FakeServer();
  const commands = new CommandRegistry();
  const reveal = jest.fn();
  addCommands({
    app: { commands } as unknown as JupyterFrontEnd,
    kale: makeKale(server),
    panel: { reveal },
    trans,
    restorer: null
  });
  return { server, commands, reveal };
}

async function choose(nth: number): Promise<string[]> {
  // The environment opens no modal dialogs: to it, what is in one is hidden.
  const select = await screen.findByRole('combobox', { hidden: true });
  const options = Array.from((select as HTMLSelectElement).options);
  await userEvent.selectOptions(select, options[nth]);
  await userEvent.click(screen.getByText(/^ok$/i));
  return options.map(option => option.text);
}

describe('the commands of the palette', () => {
  beforeEach(() => jest.mocked(openServeDialog).mockClear());

  it('act on the service that is picked, where another has its name', async () => {
    const { server, commands } = setUp();
    const there = { ...makeRef(), engine: 'cluster', context: 'kind' };
    const items = [makeService(), makeService('iris', { ref: there })];
    server
      .on('GET services', { items })
      .on('PATCH services/cluster/kind/default/iris', items[1]);
    const done = commands.execute(CommandIDs.pauseService);
    expect(await choose(1)).toEqual([
      'iris (localhost/default)',
      'iris (kind/default)'
    ]);
    await done;
    expect(server.of('PATCH').map(sent => sent.path)).toEqual([
      'services/cluster/kind/default/iris'
    ]);
  });

  it('offer only what can be done, and ask for what', async () => {
    const { server, commands } = setUp();
    const items = [
      makeService('runs'),
      makeService('sleeps', { phase: 'Paused' }),
      makeService('ends', { phase: 'Terminating' }),
      makeService('other', { can_pause: false })
    ];
    server.on('GET services', { items }).on('PATCH services', items[0]);
    const done = commands.execute(CommandIDs.pauseService);
    expect(await screen.findByText('Pause which service?')).toBeInTheDocument();
    expect(await choose(0)).toEqual(['runs']);
    await done;
  });

  it('say what they act on in the palette, and less in a menu on it', () => {
    const { commands } = setUp();
    const menu = { isContextMenu: true };
    expect(commands.label(CommandIDs.pauseService)).toBe('Pause a service…');
    expect(commands.label(CommandIDs.pauseService, menu)).toBe('Pause');
    expect(commands.label(CommandIDs.serveModel)).toBe('Serve a model…');
  });

  const upload = { artifact: 'iris', done: 1, total: 2, error: '' };
  const uploading = {
    phase: 'Uploading',
    revision: 0,
    url: '',
    upload
  } as const;

  it.each<[string, Partial<Service>, string[]]>([
    [
      'is paused',
      { phase: 'Paused', can_roll_back: true },
      [
        'Test',
        'Show logs',
        'Update',
        'Resume',
        'Roll back',
        'Copy address',
        'Delete'
      ]
    ],
    [
      'waits for its first upload',
      { ...uploading, can_pause: false },
      ['Cancel upload']
    ],
    [
      'did not get its first upload',
      {
        ...uploading,
        phase: 'Failed',
        can_pause: false,
        upload: { ...upload, error: 'Full.' }
      },
      ['Dismiss failed upload']
    ],
    [
      'runs, and waits for the upload of its next version',
      { upload },
      [
        'Test',
        'Show logs',
        'Update',
        'Pause',
        'Cancel upload',
        'Copy address',
        'Delete'
      ]
    ]
  ])(
    'are in the menu of a row that %s, as far as they can be done',
    async (_, change, expected) => {
      const row = document.createElement('li');
      const service = makeService('iris', change);
      Object.assign(row.dataset, service.ref);
      const server = new FakeServer().on('GET services', { items: [service] });
      const commands = new CommandRegistry();
      const kale = makeKale(server);
      addCommands({
        app: {
          commands,
          contextMenuHitTest: () => row
        } as unknown as JupyterFrontEnd,
        kale,
        panel: { reveal: () => undefined },
        trans,
        restorer: null
      });
      await kale.services.refresh();
      const menus = schema['jupyter.lab.menus'].context.filter(
        ({ selector }) => selector === '.jp-KaleServe-serviceRow'
      );
      const shown = menus
        .filter(({ command, args }) => commands.isVisible(command, args))
        .map(({ command, args }) => commands.label(command, args));
      expect(shown).toEqual(expected);
    }
  );

  it('cancel the upload of the service that is picked', async () => {
    const { server, commands } = setUp();
    const items = [makeService('runs'), makeService('comes', uploading)];
    server
      .on('GET services', { items })
      .on('DELETE services', () => ({ status: 204 }))
      .fail('GET services/', 404, { message: 'No.', reason: 'NotFound' });
    const done = commands.execute(CommandIDs.cancelUpload);
    expect(await choose(0)).toEqual(['comes']);
    await done;
    expect(server.of('DELETE').map(sent => sent.path)).toEqual([
      'services/local/localhost/default/comes/upload'
    ]);
  });

  it('serve the model that is picked, where another has its name', async () => {
    const { server, commands } = setUp();
    const items = [makeName({ id: 7 }), makeName({ id: 8 })];
    server.on('GET models', { items, next_cursor: '', total: 2 });
    const done = commands.execute(CommandIDs.serveModel);
    expect(await choose(1)).toEqual(['iris 1 (7)', 'iris 1 (8)']);
    await done;
    expect(openServeDialog).toHaveBeenCalledWith(
      expect.objectContaining({ subject: { modelId: 8 } })
    );
  });

  it('lead to the row of the service that was served', async () => {
    const { commands, reveal } = setUp();
    const service = makeService('far-down');
    jest.mocked(openServeDialog).mockResolvedValueOnce(service);
    await commands.execute(CommandIDs.serveModel, { modelId: 7 });
    expect(reveal).toHaveBeenCalledWith({ service: service.ref });
  });

  it('update a service before the first list has come', async () => {
    const { server, commands } = setUp();
    const service = makeService();
    server
      .on('GET services', () => new Promise(() => undefined))
      .on('GET services/local/localhost/default/iris', service);
    await commands.execute(CommandIDs.updateService, { ...service.ref });
    await waitFor(() => expect(openServeDialog).toHaveBeenCalledTimes(1));
    expect(jest.mocked(openServeDialog).mock.calls[0][0].subject).toMatchObject(
      {
        modelId: 1,
        initial: { ref: service.ref }
      }
    );
  });
});
