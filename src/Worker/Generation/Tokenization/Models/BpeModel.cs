using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>Byte pair encoding, over bytes or over characters.</summary>
internal sealed class BpeModel : ITokenModel
{
    private const int CacheSize = 1 << 14;
    private const int LongestCached = 32;

    private readonly MergeTable merges;
    private readonly BpeOptions options;
    private readonly int[] byteTokens = new int[256];
    private readonly int unknown;

    /// <summary>Words and their tokens. An entry is replaced as a whole, so that no lock is needed.</summary>
    private readonly CachedWord?[] cache = new CachedWord?[CacheSize];

    /// <exception cref="TokenizerFileException">A token that the options name is missing.</exception>
    public BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options, string path)
    {
        Vocabulary = vocabulary;
        this.merges = merges;
        this.options = options;
        unknown = options.UnknownToken is null ? -1 : vocabulary.FindWritten(Encoding.UTF8.GetBytes(
            options.UnknownToken));
        if (options.UnknownToken is not null && unknown < 0)
            throw new TokenizerFileException(
                $"{path}.unk_token is '{options.UnknownToken}', which is not in {path}.vocab");
        for (var b = 0; b < 256; b++)
            byteTokens[b] = options.IsByteLevel
                ? vocabulary.Find([(byte)b])
                : vocabulary.Find(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>")));
    }

    public Vocabulary Vocabulary { get; }

    /// <summary>Whether each byte of a word is in a token.</summary>
    public bool ReadsAllBytes => options.IsByteLevel && Array.TrueForAll(byteTokens, t => t >= 0);

    public void Encode(ReadOnlySpan<char> word, List<int> tokens)
    {
        if (word.Length > LongestCached)
        {
            EncodeUncached(word, tokens);
            return;
        }

        ref var entry = ref cache[string.GetHashCode(word) & (CacheSize - 1)];
        var cached = entry;
        if (cached is null || !word.SequenceEqual(cached.Word))
        {
            var start = tokens.Count;
            EncodeUncached(word, tokens);
            entry = new CachedWord(word.ToString(), [.. CollectionsMarshal.AsSpan(tokens)[start..]]);
        }
        else tokens.AddRange(cached.Tokens);
    }

    private void EncodeUncached(ReadOnlySpan<char> word, List<int> tokens)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(3 * word.Length);
        var symbols = ArrayPool<int>.Shared.Rent(3 * word.Length);
        try
        {
            var utf8 = bytes.AsSpan(0, Encoding.UTF8.GetBytes(word, bytes));
            if (options.IgnoreMerges && Vocabulary.Find(utf8) is var whole and >= 0)
            {
                tokens.Add(whole);
                return;
            }

            var count = options.IsByteLevel ? BytesToSymbols(utf8, symbols) : CharactersToSymbols(utf8, symbols);
            count = BpeWord.Merge(symbols.AsSpan(0, count), merges);
            tokens.AddRange(symbols.AsSpan(0, count));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
            ArrayPool<int>.Shared.Return(symbols);
        }
    }

    private int BytesToSymbols(ReadOnlySpan<byte> utf8, int[] symbols)
    {
        var count = 0;
        foreach (var b in utf8)
            if (byteTokens[b] >= 0) symbols[count++] = byteTokens[b];
            else if (unknown >= 0 && !(options.FuseUnknown && count > 0 && symbols[count - 1] == unknown))
                symbols[count++] = unknown;
        return count;
    }

    private int CharactersToSymbols(ReadOnlySpan<byte> utf8, int[] symbols)
    {
        var (count, isPending) = (0, false);
        while (utf8.Length > 0)
        {
            Rune.DecodeFromUtf8(utf8, out _, out var length);
            var character = utf8[..length];
            utf8 = utf8[length..];
            var token = Vocabulary.Find(character);
            if (token >= 0)
            {
                if (isPending) symbols[count++] = unknown;
                isPending = false;
                symbols[count++] = token;
            }
            else if (options.ByteFallback && HasBytes(character))
                foreach (var b in character) symbols[count++] = byteTokens[b];
            else if (unknown >= 0)
            {
                if (isPending && !options.FuseUnknown) symbols[count++] = unknown;
                isPending = true;
            }
        }

        if (isPending) symbols[count++] = unknown;
        return count;
    }

    private bool HasBytes(ReadOnlySpan<byte> character)
    {
        foreach (var b in character)
            if (byteTokens[b] < 0) return false;
        return true;
    }

    private sealed record CachedWord(string Word, int[] Tokens);
}

/// <summary>Options of a BPE model.</summary>
/// <param name="IsByteLevel">Whether the symbols are bytes instead of characters.</param>
/// <param name="UnknownToken">The token of unknown symbols, or null if they are left out.</param>
/// <param name="FuseUnknown">Whether successive unknown symbols are one token.</param>
/// <param name="ByteFallback">Whether unknown characters are written as bytes, such as <c>&lt;0xE2&gt;</c>.</param>
/// <param name="IgnoreMerges">Whether a word that is in the vocabulary is one token, whatever the merges are.</param>
internal sealed record BpeOptions(
    bool IsByteLevel,
    string? UnknownToken,
    bool FuseUnknown,
    bool ByteFallback,
    bool IgnoreMerges);
