import { act, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
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

async function setUp(details: Record<string, unknown>) {
  const artifact = makeArtifact({
    signature: null,
    details: { ...details } as never
  });
  const server = new FakeServer()
    .on('GET services', { items: [makeService('iris')] })
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
      expect(screen.getByText(/2 tokens.*ended by the limit/)).toBeTruthy()
    );
    server.on(CHAT, () => ({ text: events('Fine') }));
    await user.type(screen.getByLabelText('Message'), 'How are you?');
    await user.click(screen.getByRole('button', { name: 'Send' }));
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
      text: 'data: {"choices": [{"text": "hallo"}]}\n\n'
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
});
