import {
  ReadableStream,
  type ReadableStreamDefaultController
} from 'node:stream/web';
import { act, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import type { Service } from '../../../api/types';
import {
  FakeServer,
  makeArtifact,
  makeDetail,
  makeKale,
  makeRef,
  makeService,
  settled
} from '../../../__tests__/fixtures';
import PredictView from '../../view';

const CHAT = 'POST services/local/localhost/default/iris/chat';

function events(...texts: string[]): string {
  const chunks = texts.map(content => ({ choices: [{ delta: { content } }] }));
  const usage = { choices: [], usage: { completion_tokens: texts.length } };
  const end = { choices: [{ delta: {}, finish_reason: 'length' }] };
  return [...chunks, end, usage]
    .map(one => `data: ${JSON.stringify(one)}\n\n`)
    .join('');
}

function bodies(server: FakeServer): unknown[] {
  return server.of(CHAT).map(one => one.body);
}

const CHATS = { task: 'text-generation', chat: true };
const PART = 'data: {"choices": [{"delta": {"content": "Once "}}]}\n\n';

/**
 * An answer that is written by hand; it may have pieces when its request has been aborted.
 */
function written(server: FakeServer) {
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>({
    start: made => {
      controller = made;
    }
  });
  // Node's type, which the browser's `Response` takes all the same.
  server.on(CHAT, () => new Response(stream as unknown as BodyInit));
  return {
    write: async (text: string) => {
      await act(async () => {
        controller.enqueue(encoder.encode(text));
        await settled();
      });
    }
  };
}

async function setUp(
  details: Record<string, unknown>,
  service: Partial<Service> = {}
) {
  const artifact = makeArtifact({
    signature: null,
    details: { ...details } as never
  });
  const server = new FakeServer()
    .on('GET services', { items: [makeService('iris', service)] })
    .on('GET services/local/localhost/default/iris/predict', {
      inputs: [],
      outputs: []
    })
    .on('GET models/1', makeDetail({ artifact }));
  const kale = makeKale(server);
  kale.services.start();
  render(<PredictView kale={kale} target={makeRef()} onLogs={jest.fn()} />);
  await act(settled);
  return { server, user: userEvent.setup() };
}

describe('Chat', () => {
  it('sends the conversation and shows the answer as it is written', async () => {
    const { server, user } = await setUp({
      task: 'text-generation',
      chat: true
    });
    server.on(CHAT, () => ({ text: events('Good ', 'day') }));
    await user.type(screen.getByLabelText('Message'), 'Hello{Enter}');
    await waitFor(() => expect(screen.getByText('Good day')).toBeTruthy());
    await waitFor(() =>
      expect(screen.getByText(/2 tokens.*token limit reached/)).toBeTruthy()
    );
    server.on(CHAT, () => ({ text: events('Fine') }));
    await user.type(screen.getByLabelText('Message'), 'How are you?');
    await user.click(screen.getByRole('button', { name: 'Send' }));
    expect(screen.getByLabelText('Message')).toHaveFocus();
    await waitFor(() => expect(screen.getByText('Fine')).toBeTruthy());
    expect(bodies(server)).toEqual([
      { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 256 },
      {
        messages: [
          { role: 'user', content: 'Hello' },
          { role: 'assistant', content: 'Good day' },
          { role: 'user', content: 'How are you?' }
        ],
        max_tokens: 256
      }
    ]);
    await user.click(screen.getByRole('button', { name: 'Clear' }));
    expect(screen.queryByText('Fine')).toBeNull();
  });

  it('shows what went wrong, and asks again without what had no answer', async () => {
    const { server, user } = await setUp({
      task: 'text-generation',
      chat: true
    });
    server.on(CHAT, () => ({
      text: 'data: {"error": {"message": "no room"}}\n\n'
    }));
    await user.type(screen.getByLabelText('Message'), 'Hello{Enter}');
    await waitFor(() => expect(screen.getByText('no room')).toBeTruthy());
    server.on(CHAT, () => ({ text: events('Yes') }));
    await user.type(screen.getByLabelText('Message'), 'Again{Enter}');
    await waitFor(() => expect(screen.getByText('Yes')).toBeTruthy());
    expect(bodies(server)[1]).toMatchObject({
      messages: [{ role: 'user', content: 'Again' }]
    });
    expect(screen.queryByText('no room')).toBeNull();
  });

  it('gives a model that does not chat a prompt', async () => {
    const { server, user } = await setUp({ task: 'text2text-generation' });
    server.on(CHAT, () => ({
      text: 'data: {"choices": [{"text": "hallo"}]}\n\ndata: [DONE]\n\n'
    }));
    await user.type(screen.getByLabelText('Prompt'), 'hello{Enter}');
    await waitFor(() => expect(screen.getByText('hallo')).toBeTruthy());
    expect(bodies(server)).toEqual([{ prompt: 'hello', max_tokens: 256 }]);
  });

  it('sends nothing with options that are none', async () => {
    const { server, user } = await setUp({
      task: 'text-generation',
      chat: true
    });
    await user.click(screen.getByRole('button', { name: 'Options' }));
    await user.clear(screen.getByLabelText('Max tokens'));
    await user.type(screen.getByLabelText('Max tokens'), 'many');
    await user.type(screen.getByLabelText('Message'), 'Hello{Enter}');
    expect(screen.getByText('Enter a whole number from 1.')).toBeTruthy();
    expect(bodies(server)).toEqual([]);
  });

  it('tells an answer that was cut off from one that is whole', async () => {
    const { server, user } = await setUp(CHATS);
    const end = '{"choices": [{"delta": {}, "finish_reason": "stop"}]}';
    for (const [text, isWhole] of [
      [PART, false],
      [`${PART}data: {"choi`, false],
      [`${PART}data: [DONE]\n\n`, true],
      [`${PART}data: [DONE]`, true],
      [`${PART}data: ${end}`, true]
    ] as const) {
      server.on(CHAT, () => ({ text }));
      await user.type(screen.getByLabelText('Message'), 'Tell{Enter}');
      await act(settled);
      const note = screen.queryByText('The answer was cut off.');
      expect([text, note === null]).toEqual([text, isWhole]);
      await user.click(screen.getByRole('button', { name: 'Clear' }));
    }
  });

  it('is stopped without sending what has been typed', async () => {
    const { server, user } = await setUp(CHATS);
    const answer = written(server);
    await user.type(screen.getByLabelText('Message'), 'Hello{Enter}');
    await answer.write(PART);
    await user.type(screen.getByLabelText('Message'), 'And then?');
    await user.click(screen.getByRole('button', { name: 'Stop' }));
    await answer.write(PART);
    expect(screen.getByText(/stopped/)).toBeVisible();
    expect(screen.getByText('Once')).toBeVisible();
    expect(bodies(server)).toHaveLength(1);
    expect(screen.getByLabelText('Message')).toHaveValue('And then?');
    expect(screen.getByLabelText('Message')).toHaveFocus();
    expect(screen.getByRole('button', { name: 'Send' })).toBeEnabled();
    expect(screen.queryByRole('button', { name: 'Stop' })).toBeNull();
  });

  it('is not stopped by the second click of two', async () => {
    const { server, user } = await setUp(CHATS);
    const answer = written(server);
    await user.type(screen.getByLabelText('Message'), 'Hello');
    await user.dblClick(screen.getByRole('button', { name: 'Send' }));
    await answer.write(PART);
    expect(server.of(CHAT)[0].signal.aborted).toBe(false);
    // Where one is while the model writes, there is the other one never.
    const send = screen.getByRole('button', { name: 'Send' });
    expect(send).toBeDisabled();
    expect(screen.getByRole('button', { name: 'Stop' })).not.toBe(send);
    expect(bodies(server)).toHaveLength(1);
  });

  it('is cleared while the model writes', async () => {
    const { server, user } = await setUp(CHATS);
    const answer = written(server);
    await user.type(screen.getByLabelText('Message'), 'Hello{Enter}');
    await answer.write(PART);
    const { signal } = server.of(CHAT)[0];
    await user.click(screen.getByRole('button', { name: 'Clear' }));
    await answer.write(PART);
    expect(signal.aborted).toBe(true);
    expect(
      screen.getByText('The conversation will appear here.')
    ).toBeVisible();
    expect(screen.queryByText(/token|stopped|cut off/)).toBeNull();
    expect(screen.getByLabelText('Message')).toHaveFocus();
  });

  it('is offered by the task that is served, not by the one that was logged', async () => {
    await setUp(CHATS, { task: 'feature-extraction' });
    expect(screen.queryByRole('log')).toBeNull();
  });

  it('is offered where the server was given a task that writes', async () => {
    await setUp({ task: 'fill-mask' }, { task: 'text2text-generation' });
    expect(screen.getByLabelText('Prompt')).toBeVisible();
  });

  it('goes past a transformer', async () => {
    const { server, user } = await setUp(CHATS, {
      components: ['predictor', 'transformer'],
      transformer: { id: 1, name: 'names', version: '1' }
    });
    expect(screen.queryByRole('log')).toBeNull();
    await user.selectOptions(screen.getByLabelText('Send to'), 'predictor');
    server.on(CHAT, () => ({ text: events('Yes') }));
    await user.type(screen.getByLabelText('Message'), 'Hello{Enter}');
    await waitFor(() => expect(screen.getByText('Yes')).toBeVisible());
    expect(bodies(server)[0]).toMatchObject({ component: 'predictor' });
    expect(screen.queryByText('Copy as Python')).toBeNull();
  });
});
