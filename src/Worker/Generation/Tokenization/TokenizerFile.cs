using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sluice.Worker.Generation.Tokenization.Decoders;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Models;
using Sluice.Worker.Generation.Tokenization.Normalizers;
using Sluice.Worker.Generation.Tokenization.PreTokenizers;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>The parts of a <c>tokenizer.json</c> of Hugging Face's library.</summary>
internal sealed class TokenizerFile
{
    /// <summary>The name of the file.</summary>
    public const string Name = "tokenizer.json";

    private const string PreTokenizerField = "pre_tokenizer";

    /// <summary>Limit of the size in bytes. The largest known file has 34 MB.</summary>
    private const long MaxBytes = 512L << 20;

    private TokenizerFile(Dictionary<string, JsonPart> parts, ITokenModel model)
    {
        var preTokenizer = Find(parts, PreTokenizerField);
        var isByteLevel = PreTokenizerFactory.IsByteLevel(preTokenizer);
        Normalizer = NormalizerFactory.Create(Find(parts, "normalizer"));
        PreTokenizer = PreTokenizerFactory.Create(preTokenizer);
        TokenBytes = DecoderSteps.Create(Find(parts, "decoder"), isByteLevel);
        (Prefix, Suffix) = PostProcessor.Read(Find(parts, "post_processor"));
        AddedTokens = ReadAddedTokens(parts);
        Model = model;
        // Of byte-level models only, because others have one token for any number of unknown characters. A token that
        // takes white space around it has no limit either.
        if (preTokenizer is { } splits && model is BpeModel { ReadsAllBytes: true }
            && PreTokenizerFactory.KeepsText(splits) && !AddedTokens.Any(t => t.StripLeft || t.StripRight)
            && NormalizerFactory.Shrinks(Find(parts, "normalizer")) is { } shrinks)
            MaxTokenBytes = shrinks * LongestToken();
    }

    /// <summary>The most bytes of a text for which one token can stand; null: any number.</summary>
    public int? MaxTokenBytes { get; }

    /// <summary>Changes the text before it is split.</summary>
    public INormalizer Normalizer { get; }

    /// <summary>Splits the text into words.</summary>
    public IPreTokenizer PreTokenizer { get; }

    /// <summary>Converts words to tokens.</summary>
    public ITokenModel Model { get; }

    /// <summary>Converts tokens to bytes of text.</summary>
    public ITokenBytes TokenBytes { get; }

    /// <summary>Tokens that are recognised before the model sees the text.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; }

    /// <summary>Tokens before a text.</summary>
    public int[] Prefix { get; }

    /// <summary>Tokens after a text.</summary>
    public int[] Suffix { get; }

    private int LongestToken()
    {
        var longest = AddedTokens.Select(t => Encoding.UTF8.GetByteCount(t.Content)).DefaultIfEmpty(1).Max();
        for (var id = 0; id < Model.Vocabulary.Count; id++)
            longest = Math.Max(longest, Model.Vocabulary.BytesOf(id).Length);
        return longest;
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="TokenizerFileException">The file is not valid, or has an element that is not supported.
    /// </exception>
    public static unsafe TokenizerFile Read(string path)
    {
        using var file = File.OpenHandle(path);
        var length = RandomAccess.GetLength(file);
        if (length is 0 or > MaxBytes)
            throw new TokenizerFileException($"{Name} has {length} bytes; expected 1 to {MaxBytes}");
        // Outside of the heap: the garbage collector would keep the memory of a file that is needed only once.
        var memory = (byte*)NativeMemory.Alloc((nuint)length);
        try
        {
            var json = new Span<byte>(memory, (int)length);
            var read = 0;
            for (int n; read < json.Length && (n = RandomAccess.Read(file, json[read..], read)) > 0;) read += n;
            return Parse(json[..read]);
        }
        finally
        {
            NativeMemory.Free(memory);
        }
    }

    private static TokenizerFile Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            if (json.StartsWith("\uFEFF"u8)) json = json[3..];
            var parts = new Dictionary<string, JsonPart>(StringComparer.Ordinal);
            var model = ReadParts(json, parts);
            return new TokenizerFile(parts, model);
        }
        catch (JsonException e)
        {
            throw new TokenizerFileException($"{Name} is not valid JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or OverflowException)
        {
            throw new TokenizerFileException($"{Name} has an invalid value: {e.Message}", e);
        }
    }

    private static ITokenModel ReadParts(ReadOnlySpan<byte> json, Dictionary<string, JsonPart> parts)
    {
        ITokenModel? model = null;
        var modelAt = -1;
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new TokenizerFileException($"{Name} is not a JSON object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (name != "model") parts[name] = new JsonPart(JsonElement.ParseValue(ref reader), $"{Name}: {name}");
            else if (parts.ContainsKey(PreTokenizerField)) model = ReadModel(json, ref reader, parts);
            else
            {
                // The pre-tokenizer determines how the vocabulary is written.
                modelAt = (int)reader.TokenStartIndex;
                reader.Skip();
            }
        }

        if (model is not null) return model;
        if (modelAt < 0) throw new TokenizerFileException($"{Name} has no field 'model'");
        var modelReader = new Utf8JsonReader(json[modelAt..]);
        modelReader.Read();
        return ReadModel(json[modelAt..], ref modelReader, parts);
    }

    private static ITokenModel ReadModel(
        ReadOnlySpan<byte> json,
        ref Utf8JsonReader reader,
        Dictionary<string, JsonPart> parts) =>
        ModelReader.Read(json, ref reader, PreTokenizerFactory.IsByteLevel(Find(parts, PreTokenizerField)));

    private static JsonPart? Find(Dictionary<string, JsonPart> parts, string name) =>
        parts.TryGetValue(name, out var part) && part.Value.ValueKind != JsonValueKind.Null ? part : null;

    private static List<AddedToken> ReadAddedTokens(Dictionary<string, JsonPart> parts)
    {
        if (Find(parts, "added_tokens") is not { } list) return [];
        if (list.Value.ValueKind != JsonValueKind.Array) throw list.Unexpected("a list");
        return [.. list.Value.EnumerateArray().Select((item, i) =>
            AddedToken.Read(new JsonPart(item, $"{list.Path}[{i}]")))];
    }
}
