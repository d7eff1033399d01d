using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Blocks;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// The memory of a paged key/value cache: each layer has one buffer for keys and one for values with the shape [blocks,
/// block size, heads, width], in the memory of the device. Not thread-safe.
/// </summary>
/// <param name="layout">The layers.</param>
/// <param name="memory">Memory that the attention uses.</param>
/// <param name="blocks">Number of blocks.</param>
/// <param name="blockSize">Tokens of a block: a power of two, at least 16.</param>
/// <param name="copy">Copies tokens between blocks. Null: the memory cannot be copied.</param>
internal sealed class PagedKvCache(
    PagedLayout layout,
    OrtAllocator memory,
    int blocks,
    int blockSize,
    CellCopy? copy) : IDisposable
{
    /// <summary>Number of blocks.</summary>
    public int Blocks => blocks;

    /// <summary>Tokens of a block.</summary>
    public int BlockSize => blockSize;

    /// <summary>Whether tokens can be copied between blocks.</summary>
    public bool CanCopy => copy is not null;

    /// <summary>Numbers of the blocks of each row, in the order of the rows' tokens.</summary>
    public List<IReadOnlyList<int>> Tables { get; } = [];

    /// <summary>The buffers, in the order of the layout. Empty before <see cref="Allocate"/>.</summary>
    public IReadOnlyList<OrtValue> Buffers { get; private set; } = [];

    /// <summary>Allocates the memory, unless it is allocated.</summary>
    public void Allocate()
    {
        if (Buffers.Count > 0) return;
        var allocated = new List<OrtValue>();
        try
        {
            foreach (var tensor in layout.Cache)
                allocated.Add(OrtValue.CreateAllocatedTensorValue(
                    memory, tensor.Type.Element, [blocks, blockSize, tensor.Heads, tensor.Width]));
        }
        catch
        {
            foreach (var value in allocated) value.Dispose();
            throw;
        }

        Buffers = allocated;
    }

    /// <summary>Copies the first tokens of a block, in all layers. Only if <see cref="CanCopy"/>.</summary>
    public void Copy(BlockCopy tokens)
    {
        foreach (var buffer in Buffers) copy!.Run(buffer, tokens.From, tokens.To, tokens.Tokens);
    }

    /// <summary>Frees the memory, and forgets the rows.</summary>
    public void Dispose()
    {
        Tables.Clear();
        foreach (var buffer in Buffers) buffer.Dispose();
        Buffers = [];
    }
}
