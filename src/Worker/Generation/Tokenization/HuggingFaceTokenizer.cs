using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization.Decoders;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Models;
using Sluice.Worker.Generation.Tokenization.PreTokenizers;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>
/// The tokenizer of a <c>tokenizer.json</c>. It returns the tokens that Hugging Face's library returns (compared by
/// <c>TokenizerComparisonTest</c>; the reasons for an own implementation are in ADR 89).
/// </summary>
public sealed class HuggingFaceTokenizer : ITokenizer
{
    private const int LongestAddedToken = 1000;
    private const int AllAddedTokens = 1 << 24;

    private readonly TokenizerFile file;
    private readonly AddedTokenSplitter rawTokens;
    private readonly AddedTokenSplitter normalizedTokens;
    private readonly Dictionary<int, AddedToken> addedById = [];
    private readonly byte[]?[] decoded;
    private readonly int[] prefix;
    private readonly int[] suffix;

    internal HuggingFaceTokenizer(TokenizerFile file, TokenizerConfig config)
    {
        this.file = file;
        var vocabulary = file.Model.Vocabulary;
        var added = file.AddedTokens.Where(t => t.Content.Length > 0).Select(Numbered).ToList();
        foreach (var token in added)
        {
            if (token.Id >= Vocabulary.MaxTokens || token.Content.Length > LongestAddedToken)
                throw new TokenizerFileException($"{TokenizerFile.Name}: added_tokens has token {token.Id} with "
                    + $"{token.Content.Length} characters; expected ids below {Vocabulary.MaxTokens} and at most "
                    + $"{LongestAddedToken} characters");
            addedById[token.Id] = token;
        }

        if (added.Sum(t => (long)t.Content.Length) > AllAddedTokens)
            throw new TokenizerFileException(
                $"{TokenizerFile.Name}: added_tokens has more than {AllAddedTokens} characters");
        rawTokens = new AddedTokenSplitter(added.Where(t => !t.Normalized), text => text);
        normalizedTokens = new AddedTokenSplitter(added.Where(t => t.Normalized), file.Normalizer.Normalize);
        VocabularySize = Math.Max(vocabulary.Count, added.Select(t => t.Id + 1).DefaultIfEmpty(0).Max());
        decoded = new byte[]?[VocabularySize];
        SpecialTokens = [.. added.Where(t => t.IsControl).Select(t => t.Content)];
        (prefix, suffix) = config.AddedAround(Find) ?? (file.Prefix, file.Suffix);
        EndTokens = [.. config.EndTokens(Find).Where(t => t < VocabularySize).Distinct()];
    }

    public int EndOfText => EndTokens.Count > 0 ? EndTokens[0] : -1;

    public IReadOnlyList<int> EndTokens { get; }

    public IReadOnlyList<string> SpecialTokens { get; }

    public int VocabularySize { get; }

    public string Unit => "tokens";

    public int[] Encode(string text) => Encode(text, int.MaxValue);

    /// <summary>
    /// Returns the tokens of a text, at most a number of them. Tokens of the text are left out at its end; the tokens
    /// that the model expects around a text are kept.
    /// </summary>
    public int[] Encode(string text, int maxTokens)
    {
        var tokens = new List<int>(prefix);
        Append(text, withControl: false, tokens);
        var room = Math.Max(prefix.Length, maxTokens - suffix.Length);
        if (tokens.Count > room) tokens.RemoveRange(room, tokens.Count - room);
        tokens.AddRange(suffix);
        return [.. tokens];
    }

    public int[] EncodePrompt(string text)
    {
        var tokens = new List<int>(text.Length / 4);
        Append(text, withControl: true, tokens);
        return [.. tokens];
    }

    public int LeastTokens(string text)
    {
        if (file.MaxTokenBytes is not { } most) return 0;
        var bytes = Encoding.UTF8.GetByteCount(text)
            - (text.AsSpan().Count(ITokenizer.Separator) * ITokenizer.SeparatorBytes);
        return bytes / most;
    }

    public int Count(string text) => Encode(text).Length;

    public string TextOf(int token)
    {
        if (addedById.TryGetValue(token, out var added)) return added.Content;
        var bytes = BytesOf(token);
        var text = Encoding.UTF8.GetString(bytes);
        return bytes.Length == 1 && bytes[0] >= 0x80
            ? string.Create(CultureInfo.InvariantCulture, $"<0x{bytes[0]:X2}>")
            : text;
    }

    public ReadOnlySpan<byte> BytesOf(int token)
    {
        if ((uint)token >= (uint)decoded.Length || IsSpecial(token)) return [];
        // Two threads may compute the same bytes; either result is right.
        return decoded[token] ??= Decode(token, isFirst: false);
    }

    public bool IsSpecial(int token) => addedById.TryGetValue(token, out var added) && added.IsSpecial;

    public bool IsEnd(int token) => EndTokens.Contains(token);

    public ITokenDecoder CreateDecoder() => new StreamDecoder(this);

    /// <summary>Returns the number of a token by its text, or -1.</summary>
    public int Find(string token) =>
        addedById.Values.FirstOrDefault(t => t.Content == token)?.Id
        ?? file.Model.Vocabulary.FindWritten(Encoding.UTF8.GetBytes(token));

    /// <summary>As in Hugging Face's library, a token of the vocabulary keeps the number that it has there.</summary>
    private AddedToken Numbered(AddedToken token) =>
        file.Model.Vocabulary.FindWritten(Encoding.UTF8.GetBytes(token.Content)) is var id and >= 0
            ? token with { Id = id }
            : token;

    private void Append(string text, bool withControl, List<int> tokens)
    {
        text = ReplaceLoneSurrogates(text);
        var hasSeparator = text.Contains(ITokenizer.Separator, StringComparison.Ordinal);
        var words = new List<Piece>();
        rawTokens.Split(text, isFirst: true, withControl, token => tokens.Add(token.Id), raw =>
        {
            var normalized = file.Normalizer.Normalize(raw.Span.ToString());
            normalizedTokens.Split(normalized, raw.IsFirst, withControl, token => tokens.Add(token.Id), piece =>
            {
                if (hasSeparator && withControl)
                    piece = piece.With(piece.Span.ToString().Replace(
                        ITokenizer.Separator.ToString(), "", StringComparison.Ordinal));
                words.Clear();
                file.PreTokenizer.Split(piece, words);
                foreach (var word in words)
                    if (word.Length > 0) file.Model.Encode(word.Span, tokens);
            });
        });
    }

    /// <summary>A lone surrogate has no UTF-8. It becomes U+FFFD, as in UTF-8 encoders.</summary>
    private static string ReplaceLoneSurrogates(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return text;
        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes()) result.Append(rune.ToString());
        return result.ToString();
    }

    private byte[] Decode(int token, bool isFirst)
    {
        var written = addedById.TryGetValue(token, out var added)
            ? AddedBytes(added.Content)
            : file.Model.Vocabulary.BytesOf(token);
        return file.TokenBytes.Decode(written, isFirst).ToArray();
    }

    /// <summary>Added tokens are decoded like those of the vocabulary.</summary>
    private ReadOnlySpan<byte> AddedBytes(string content)
    {
        var utf8 = Encoding.UTF8.GetBytes(content);
        var bytes = new byte[utf8.Length];
        return file.TokenBytes is ByteLevelBytes && ByteAlphabet.TryDecode(utf8, bytes, out var length)
            ? bytes.AsSpan(0, length)
            : utf8;
    }

    private sealed class StreamDecoder(HuggingFaceTokenizer tokenizer) : ITokenDecoder
    {
        private readonly Utf8Text text = new();
        private bool isFirst = true;
        private int stripped;

        public string Push(int token)
        {
            if ((uint)token >= (uint)tokenizer.VocabularySize || tokenizer.IsSpecial(token)) return "";
            var bytes = isFirst ? tokenizer.Decode(token, isFirst: true) : tokenizer.BytesOf(token);
            isFirst = false;
            var (count, value) = tokenizer.file.TokenBytes.StrippedAtStart;
            while (stripped < count && bytes.Length > 0)
            {
                // The first byte that stays ends the start of the text.
                if (bytes[0] != value)
                {
                    stripped = count;
                    break;
                }

                bytes = bytes[1..];
                stripped++;
            }

            return text.Push(bytes);
        }

        public string Finish() => text.Finish();
    }
}
