using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>The key/value cache of several sequences; each has one row. Not thread-safe.</summary>
internal interface IKvRows : IDisposable
{
    /// <summary>Number of rows.</summary>
    int Rows { get; }

    /// <summary>Number of tokens for which each row has room.</summary>
    int Length { get; }

    /// <summary>Whether one run can use several rows, and the content of a row can be copied and resized.</summary>
    bool IsShared { get; }

    /// <summary>Changes the size, and keeps what the first rows contain.</summary>
    /// <param name="rows">The new number of rows.</param>
    /// <param name="length">The new length of each row, in tokens.</param>
    /// <param name="used">
    /// Number of tokens to keep of each of the first rows. The content of other rows is lost.
    /// </param>
    void Resize(int rows, int length, ReadOnlySpan<int> used);

    /// <summary>
    /// Moves the first tokens of a row to another row, whose content is lost. The content of the source is undefined
    /// afterwards.
    /// </summary>
    void Move(int from, int to, int tokens);

    /// <summary>Copies the first tokens of a row to another row. Only if <see cref="IsShared"/>.</summary>
    void Copy(int from, int to, int tokens);

    /// <summary>
    /// Returns consecutive rows of all layers, in the order of the layout. The values belong to this object, and are
    /// valid until the next <see cref="Resize"/> or <see cref="Move"/>.
    /// </summary>
    OrtValue[] View(int first, int count);
}
