/** A conversation with a tiny language model that is made here, in an environment that has transformers. */
import { createRequire } from 'node:module';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { Lab, python } from './lab.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const SERVE = `
import torch, transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from kale.common.artifacts import Model
from kale.serve import serve

tokens = Tokenizer(models.BPE())
tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokens.decoder = decoders.ByteLevel()
text = ["You can serve a model from a notebook and talk to it here. "] * 20
special = ["<s>", "</s>", "<pad>"]
tokens.train_from_iterator(text, trainers.BpeTrainer(vocab_size=200, special_tokens=special))
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokens, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
)
tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
torch.manual_seed(0)
config = transformers.LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=8192, bos_token_id=0, eos_token_id=1, pad_token_id=2,
)
model = transformers.LlamaForCausalLM(config)
model.generation_config.suppress_tokens = [0, 1, 2]
serve(Model((model, tokenizer), name="talker").submit_artifact(), name="talker")
`;

test.describe.configure({ mode: 'serial' });

let page: Page;
let lab: Lab;
let chat: Locator;
let messages: Locator;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(300_000);
  python(SERVE);
  page = await browser.newPage();
  lab = new Lab(page);
  await lab.open();
  await lab.openPanel();
  await lab.expectPhase('talker', 'Ready');
  await lab
    .row(lab.services, 'talker')
    .getByRole('button', { name: 'Test' })
    .click();
  chat = page.getByRole('region', { name: 'Test request' });
  messages = chat.getByRole('log', { name: 'Conversation' });
});

test.afterAll(async () => {
  python('from kale.serve import Endpoint\nEndpoint("talker").delete()');
  await page.close();
});

test('the model answers, and the answer is counted', async () => {
  await chat.getByRole('button', { name: 'Options' }).click();
  await chat.getByLabel('System prompt').fill('You talk to a tester.');
  await chat.getByLabel('Max tokens').fill('40');
  await chat.getByLabel('Temperature').fill('0');
  await chat.getByLabel('Message').fill('Can I talk to a model?');
  await chat.getByLabel('Message').press('Enter');

  await expect(messages).toContainText('Can I talk to a model?');
  await expect(messages.locator('.jp-mod-assistant')).toHaveCount(1);
  await expect(chat).toContainText(
    /40 tokens · [\d.]+ tokens\/s · token limit reached/
  );
  await expect(chat.getByRole('button', { name: 'Send' })).toBeVisible();
});

test('an answer is written piece by piece, and can be stopped', async () => {
  await chat.getByLabel('Max tokens').fill('7000');
  await chat.getByLabel('Message').fill('Go on');
  await chat.getByRole('button', { name: 'Send' }).click();

  const answer = messages.locator('.jp-mod-assistant').nth(1);
  const sizes: number[] = [];
  await expect
    .poll(async () => {
      sizes.push((await answer.textContent())?.length ?? 0);
      return new Set(sizes).size;
    })
    .toBeGreaterThan(3);
  await chat.getByRole('button', { name: 'Stop' }).click();
  await expect(chat).toContainText(/tokens\/s · stopped/);
  await expect(chat.getByRole('button', { name: 'Send' })).toBeVisible();
});

for (const theme of ['JupyterLab Light', 'JupyterLab Dark'] as const) {
  test(`the conversation is accessible in ${theme}, and fits a narrow window`, async ({}, info) => {
    await lab.useTheme(theme);
    await page.screenshot({ path: info.outputPath('wide.png') });
    await page.setViewportSize({ width: 720, height: 700 });
    await page.addScriptTag({ path: AXE });
    const found = await chat.evaluate(async node => {
      const { violations } = await (window as unknown as { axe: IAxe }).axe.run(
        node
      );
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(n => n.html).join(' ')}`
      );
    });
    await page.screenshot({ path: info.outputPath('narrow.png') });
    expect(found).toEqual([]);
    expect(
      await chat.evaluate(node => node.scrollWidth - node.clientWidth)
    ).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 1280, height: 800 });
    await lab.useTheme('JupyterLab Light');
  });
}

test('it is cleared', async () => {
  await chat.getByRole('button', { name: 'Clear' }).click();
  await expect(messages).toContainText('The conversation will appear here.');
});

interface IAxe {
  run(
    node: Element
  ): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}
