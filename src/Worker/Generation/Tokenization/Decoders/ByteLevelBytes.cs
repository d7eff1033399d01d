namespace Sluice.Worker.Generation.Tokenization.Decoders;

/// <summary>The vocabulary has the bytes that a token adds.</summary>
internal sealed class ByteLevelBytes : ITokenBytes
{
    public (int Count, byte Value) StrippedAtStart => default;

    public ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> written, bool isFirst) => written;
}
