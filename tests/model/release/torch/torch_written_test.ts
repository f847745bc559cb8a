// Files that PyTorch itself wrote, if it is installed, such as Debian's python3-torch.
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { openTensorFile } from "../../../../model/checkpoint/files.ts";
import { checkpointRoot } from "../../../../model/release/checkpoint_root.ts";
import { openWeights } from "../../../../model/release/convert.ts";

const PROGRAM = `
import argparse, collections, struct, json, sys, torch
folder = sys.argv[1]
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
model = model.to(memory_format=torch.channels_last)
base = torch.randn(6, 8)
sd = model.state_dict()
sd['word_embed.weight'] = base.t()
sd['cfg_uncond'] = base[1:4, 2:7]
sd['tied'] = base
sd['lvl_1L'] = torch.arange(5)
sd['expanded'] = torch.randn(3, 1).expand(3, 4)
sd['scalar'] = torch.tensor(2.5)
for name in 'float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool'.split():
    sd[name] = (torch.randn(3, 4) * 9).to(getattr(torch, name))
opt = torch.optim.AdamW(model.parameters())
saved = dict(
    trainer=dict(gpt_fsdp=sd, gpt_opt=opt.state_dict(), config={1.25: {'1M': dict(pixel=(1, 2))}}),
    args=argparse.Namespace(lr=1e-4, size=torch.Size([1, 2]), device=torch.device('cpu'),
        dtype=torch.float16, names={'a', 'b'}, raw=b'xyz', rng=torch.get_rng_state()),
    epoch=3, big=2**70, negative=-5, acc_str='[no acc str]', milestones=[(0.1, None)])
torch.save(saved, folder + '/zip.pth')
torch.save(saved, folder + '/legacy.pth', _use_new_zipfile_serialization=False)
saved['args'].names = None  # EMPTY_SET of protocol 4 is not read
torch.save(saved, folder + '/zip4.pth', pickle_protocol=4)
names = dict(float32='F32', float64='F64', float16='F16', bfloat16='BF16', int64='I64', int32='I32',
    int16='I16', int8='I8', uint8='U8', bool='BOOL')
header, data = {}, b''
for name, t in sd.items():
    if name == 'lvl_1L': continue
    raw = t.detach().contiguous().reshape(-1)
    raw = bytes(raw.untyped_storage() if hasattr(raw, 'untyped_storage') else raw.storage()._untyped() if hasattr(raw.storage(), '_untyped') else raw.storage().untyped())[:raw.numel() * raw.element_size()]
    header[name] = dict(dtype=names[str(t.dtype)[6:]], shape=list(t.shape), data_offsets=[len(data), len(data) + len(raw)])
    data += raw
text = json.dumps(header).encode()
open(folder + '/expected.safetensors', 'wb').write(struct.pack('<Q', len(text)) + text + data)
`;

/** A Python with PyTorch, if one is installed. */
function findPython(): string | undefined {
  return ["python3", "/usr/bin/python3"].find((python) => {
    try {
      const run = new Deno.Command(python, { args: ["-c", "import torch"], stderr: "null" });
      return run.outputSync().success;
    } catch {
      return false;
    }
  });
}

const python = findPython();

Deno.test({
  name: "openWeights() reads what PyTorch wrote" +
    (python ? "" : " (skipped: python3-torch is not installed)"),
  ignore: python === undefined,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const { success, stderr } = await new Deno.Command(python!, {
        args: ["-c", PROGRAM, folder],
      }).output();
      assertEquals(success, true, new TextDecoder().decode(stderr));
      const expected = await openTensorFile(join(folder, "expected.safetensors"));
      for (const name of ["zip.pth", "zip4.pth", "legacy.pth"]) {
        const file = await openWeights(join(folder, name));
        const { model, key, tensors, dropped } = checkpointRoot(file);
        assertEquals([model, key, dropped], ["transformer", "trainer.gpt_fsdp", ["lvl_1L"]]);
        assertEquals(tensors.size, expected.tensors.size);
        for (const { name, dtype, shape } of expected.tensors.values()) {
          const info = tensors.get(name)!;
          assertEquals([info.dtype, info.shape], [dtype, shape]);
          assertEquals(await file.read(info.name), await expected.read(name), name);
        }
        file.close();
      }
      expected.close();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
