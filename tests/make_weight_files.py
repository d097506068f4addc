"""Write tests/weight_files with PyTorch 2.14 and safetensors 0.8, which the tests do not need.

Run `python tests/make_weight_files.py` in an environment with both; the values are those that
tests/test_torch_file.py and tests/test_safetensors.py expect.
"""
import argparse
import pathlib

import safetensors.torch
import torch

_FOLDER = pathlib.Path(__file__).parent / 'weight_files'
_BASE = torch.arange(24.).reshape(4, 6)
_VIEWS = {'transposed': _BASE.t(), 'window': _BASE[1:3, 2:5], 'every_second': _BASE[::2, ::3],
          'repeated': _BASE[1, 1].expand(3, 2), 'scalar': torch.tensor(5.),
          'empty': torch.zeros(0, 3)}
_DTYPES = ('float32', 'float64', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'bool')


class Net(torch.nn.Module):
    """A convolution, a buffer, and an attribute that is no weight."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU())
        self.register_buffer('anchors', torch.arange(3.))
        self.note = 'text'
        with torch.no_grad():
            self.features[0].weight.copy_(torch.tensor([3., 4.]).reshape(2, 1, 1, 1))
            self.features[0].bias.copy_(torch.tensor([5., 6.]))


def main():
    """Write the files."""
    _FOLDER.mkdir(exist_ok=True)
    dtypes = {name: torch.arange(-2, 3).to(getattr(torch, name)) for name in _DTYPES}
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    net.features(torch.ones(1, 1, 1, 1)).sum().backward()
    optimizer.step()
    checkpoint = {'epoch': 3, 'args': argparse.Namespace(lr=.1, data=pathlib.PurePosixPath('a')),
                  'optimizer': optimizer.state_dict(), 'model': {
                      f'module.{name}': value for name, value in Net().state_dict().items()}}
    for kind, options in (('zip', {}), ('legacy', {'_use_new_zipfile_serialization': False})):
        torch.save(_VIEWS, _FOLDER / f'views_{kind}.pth', **options)
        torch.save(dtypes, _FOLDER / f'dtypes_{kind}.pth', **options)
        torch.save(checkpoint, _FOLDER / f'checkpoint_{kind}.pth.tar', **options)
    torch.save(Net(), _FOLDER / 'module_zip.pth')   # the other one would hold PyTorch's source
    safetensors.torch.save_file(dtypes, _FOLDER / 'dtypes.safetensors', {'format': 'pt'})


if __name__ == '__main__':
    main()
