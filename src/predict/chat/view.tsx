import * as React from 'react';
import type { KaleServeClient } from '../../api/client';
import { plainText } from '../../api/plain';
import type { ChatMessage, ServiceRef } from '../../api/types';
import { CopyButton } from '../../components/button';
import { Fold } from '../../components/disclosure';
import { Field } from '../../components/field';
import { ErrorNote } from '../../components/note';
import { useTrans } from '../../components/trans';
import type { IConversation, IOptions, IPace } from './conversation';
import { bodyOf, useConversation } from './conversation';
import { asPython } from './python';

/**
 * A conversation with a text-generation model; one that does not support chat continues prompts.
 */
export function Chat(props: {
  client: KaleServeClient;
  target: ServiceRef;
  chats: boolean;
  /**
   * Which component is asked; the service's entry where it is empty.
   */
  component: '' | 'predictor';
  onLogs: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { client, target, chats, component } = props;
  const conversation = useConversation(client, target, chats, component);
  const box = React.useRef<HTMLTextAreaElement>(null);
  const [text, setText] = React.useState('');
  const [options, setOptions] = React.useState<IOptions>({
    system: '',
    maxTokens: '256',
    temperature: ''
  });
  const isSendable =
    text.trim() !== '' && !conversation.isWriting && !problemIn(options);

  function send() {
    if (isSendable) {
      setText('');
      // The button that was pressed can be pressed no more; keys would go nowhere.
      box.current?.focus();
      void conversation.send(text, options);
    }
  }

  return (
    <div className="jp-KaleChat">
      <Messages conversation={conversation} chats={chats} />
      {conversation.error && (
        <ErrorNote error={conversation.error}>
          <button
            type="button"
            className="jp-KaleButton jp-mod-plain"
            onClick={props.onLogs}
          >
            {trans.__('Show logs')}
          </button>
        </ErrorNote>
      )}
      <form
        className="jp-KaleChat-form"
        noValidate
        onSubmit={event => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          ref={box}
          className="jp-mod-styled"
          rows={3}
          aria-label={chats ? trans.__('Message') : trans.__('Prompt')}
          placeholder={
            chats ? trans.__('Write a message') : trans.__('Write a prompt')
          }
          value={text}
          onChange={event => setText(event.target.value)}
          onKeyDown={event => {
            if (
              event.key === 'Enter' &&
              !event.shiftKey &&
              !event.nativeEvent.isComposing
            ) {
              event.preventDefault();
              send();
            }
          }}
        />
        <div className="jp-KalePredict-send">
          <button
            type="submit"
            className="jp-mod-styled jp-mod-accept"
            disabled={!isSendable}
          >
            {trans.__('Send')}
          </button>
          {/* Beside it, not in its place: the second click of two would stop what the first one sent. */}
          {conversation.isWriting && (
            <button
              type="button"
              className="jp-mod-styled jp-mod-reject"
              onClick={() => {
                box.current?.focus();
                conversation.stop();
              }}
            >
              {trans.__('Stop')}
            </button>
          )}
          <Pace pace={conversation.pace} />
        </div>
        <Fold label={trans.__('Options')}>
          <OptionFields value={options} chats={chats} onChange={setOptions} />
        </Fold>
      </form>
      {conversation.messages.length > 0 && (
        <div className="jp-KaleAnswer-copies">
          {/* Endpoint asks the service's entry. */}
          {component === '' && (
            <CopyButton
              label={trans.__('Copy as Python')}
              text={asPython(
                target,
                bodyOf(asked(conversation.messages), options, chats)
              )}
            />
          )}
          <button
            type="button"
            className="jp-KaleButton jp-mod-plain"
            onClick={() => {
              box.current?.focus();
              conversation.clear();
            }}
          >
            {trans.__('Clear')}
          </button>
        </div>
      )}
    </div>
  );
}

function Messages(props: {
  conversation: IConversation;
  chats: boolean;
}): JSX.Element {
  const trans = useTrans();
  const { messages, isWriting } = props.conversation;
  const end = React.useRef<HTMLDivElement>(null);
  const isAtEnd = React.useRef(true);
  React.useLayoutEffect(() => {
    const list = end.current;
    if (list && isAtEnd.current) {
      list.scrollTop = list.scrollHeight;
    }
  }, [messages]);
  const names: Record<ChatMessage['role'], string> = {
    system: trans.__('System'),
    user: trans.__('You'),
    assistant: trans.__('Model')
  };
  const isAwaited = isWriting && messages[messages.length - 1]?.role === 'user';
  return (
    <div
      ref={end}
      className="jp-KaleChat-messages"
      role="log"
      tabIndex={0}
      aria-label={trans.__('Conversation')}
      aria-busy={isWriting}
      onScroll={event => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {messages.length === 0 && (
        <p className="jp-KaleEmpty">
          {props.chats
            ? trans.__('The conversation will appear here.')
            : trans.__(
                'This model does not support chat; it continues a prompt.'
              )}
        </p>
      )}
      {messages.map((message, at) => (
        <div key={at} className={`jp-KaleChat-message jp-mod-${message.role}`}>
          <div className="jp-KaleChat-role">{names[message.role]}</div>
          <div className="jp-KaleChat-text">{plainText(message.content)}</div>
        </div>
      ))}
      {isAwaited && (
        <p className="jp-KaleEmpty">{trans.__('Waiting for the answer…')}</p>
      )}
    </div>
  );
}

function Pace({ pace }: { pace: IPace | null }): JSX.Element | null {
  const trans = useTrans();
  if (!pace) {
    return null;
  }
  const words = [trans._n('%1 token', '%1 tokens', pace.tokens)];
  if (pace.seconds > 0 && pace.tokens > 1) {
    const rate = (pace.tokens - 1) / pace.seconds;
    words.push(
      trans.__('%1 tokens/s', rate < 10 ? rate.toFixed(1) : rate.toFixed(0))
    );
  }
  if (pace.finish === 'length') {
    words.push(trans.__('token limit reached'));
  } else if (pace.finish === 'stopped') {
    words.push(trans.__('stopped'));
  }
  return <span className="jp-KaleChat-pace">{words.join(' · ')}</span>;
}

function OptionFields(props: {
  value: IOptions;
  chats: boolean;
  onChange: (value: IOptions) => void;
}): JSX.Element {
  const trans = useTrans();
  const { value, onChange } = props;
  const problem = problemIn(value);
  return (
    <div className="jp-KaleChat-options">
      {props.chats && (
        <Field label={trans.__('System prompt')}>
          {control => (
            <textarea
              {...control}
              className="jp-mod-styled"
              rows={2}
              value={value.system}
              onChange={event =>
                onChange({ ...value, system: event.target.value })
              }
            />
          )}
        </Field>
      )}
      <div className="jp-KalePredict-fields">
        <Field
          label={trans.__('Max tokens')}
          notes={
            problem === 'maxTokens'
              ? [
                  {
                    level: 'error',
                    message: trans.__('Enter a whole number from 1.')
                  }
                ]
              : []
          }
        >
          {control => (
            <input
              {...control}
              className="jp-mod-styled"
              inputMode="numeric"
              value={value.maxTokens}
              onChange={event =>
                onChange({ ...value, maxTokens: event.target.value.trim() })
              }
            />
          )}
        </Field>
        <Field
          label={trans.__('Temperature')}
          help={trans.__('0 always picks the most likely token.')}
          notes={
            problem === 'temperature'
              ? [
                  {
                    level: 'error',
                    message: trans.__('Enter a number from 0 to 10.')
                  }
                ]
              : []
          }
        >
          {control => (
            <input
              {...control}
              className="jp-mod-styled"
              inputMode="decimal"
              placeholder={trans.__('the model’s default')}
              value={value.temperature}
              onChange={event =>
                onChange({ ...value, temperature: event.target.value.trim() })
              }
            />
          )}
        </Field>
      </div>
    </div>
  );
}

/**
 * The option with an invalid value; empty where all are valid.
 */
export function problemIn(options: IOptions): '' | 'maxTokens' | 'temperature' {
  if (options.maxTokens && !/^[1-9]\d{0,5}$/.test(options.maxTokens)) {
    return 'maxTokens';
  }
  const temperature = Number(options.temperature);
  return temperature >= 0 && temperature <= 10 ? '' : 'temperature';
}

/**
 * The conversation up to the last question.
 */
function asked(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const last = messages.map(one => one.role).lastIndexOf('user');
  return messages.slice(0, last + 1);
}
