using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Runs a decoder on rows of a key/value cache: several tokens of one row, or one token of each of the first rows. Not
/// thread-safe.
/// </summary>
internal interface IDecoder : IDisposable
{
    /// <summary>The maximum number of tokens of one run.</summary>
    int MaxTokens { get; }

    /// <summary>Whether one run can read a token of each of several rows.</summary>
    bool ReadsSeveralRows { get; }

    /// <summary>Reads tokens of one row. <see cref="LogitsOf"/> has the logits after the last one.</summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="row">The row.</param>
    /// <param name="past">Number of tokens that the row contains.</param>
    /// <param name="tokens">The next tokens, at most <see cref="MaxTokens"/>.</param>
    void Read(RunOptions options, int row, int past, ReadOnlySpan<int> tokens);

    /// <summary>Reads one token of each of the first rows. <see cref="LogitsOf"/> has their logits.</summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="past">Number of tokens that each row contains.</param>
    /// <param name="tokens">The next token of each row.</param>
    void ReadRows(RunOptions options, ReadOnlySpan<int> past, ReadOnlySpan<int> tokens);

    /// <summary>Whether one run can read any number of tokens of each of several rows.</summary>
    bool ReadsMixedRows => false;

    /// <summary>
    /// Reads tokens of each of several rows. <see cref="LogitsOf"/> has the logits after the last token of each row.
    /// Only if <see cref="ReadsMixedRows"/>.
    /// </summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="past">Number of tokens that each row contains.</param>
    /// <param name="counts">Number of new tokens of each row, at least 1.</param>
    /// <param name="tokens">The new tokens of all rows, at most <see cref="MaxTokens"/>.</param>
    void ReadMixedRows(
        RunOptions options,
        ReadOnlySpan<int> rows,
        ReadOnlySpan<int> past,
        ReadOnlySpan<int> counts,
        ReadOnlySpan<int> tokens) => throw new NotSupportedException("A run reads the same number of each row.");

    /// <summary>
    /// Returns the logits after the last token of a row of the last run. Valid until the next call.
    /// </summary>
    /// <param name="index">The position of the row in the last run, from 0.</param>
    ReadOnlySpan<float> LogitsOf(int index);
}
