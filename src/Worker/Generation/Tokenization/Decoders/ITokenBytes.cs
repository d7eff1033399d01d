namespace Sluice.Worker.Generation.Tokenization.Decoders;

/// <summary>The bytes that a token adds to a text. Thread-safe.</summary>
internal interface ITokenBytes
{
    /// <summary>Number of bytes, and the byte, that are removed at the start of a text.</summary>
    (int Count, byte Value) StrippedAtStart { get; }

    /// <summary>Returns the bytes of a token.</summary>
    /// <param name="written">The token as the vocabulary has it.</param>
    /// <param name="isFirst">Whether it is the first token of a text.</param>
    ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> written, bool isFirst);
}
