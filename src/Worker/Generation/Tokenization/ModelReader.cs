using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Worker.Generation.Tokenization.Files;
using Sluice.Worker.Generation.Tokenization.Models;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>
/// Reads the field <c>model</c> of a tokenizer file. Vocabulary and merges are read without an object for each item,
/// because large files have a million items.
/// </summary>
internal ref struct ModelReader
{
    private const string Path = "tokenizer.json: model";
    private const int LongestToken = 1 << 16;

    private readonly ReadOnlySpan<byte> json;
    private readonly bool isByteLevel;
    private readonly JsonObject fields = [];
    private MergeTable? merges;
    private readonly byte[] buffer = new byte[2 * LongestToken];
    private readonly byte[] both = new byte[2 * LongestToken];
    private Vocabulary? vocabulary;
    private List<double>? scores;

    private ModelReader(ReadOnlySpan<byte> json, bool isByteLevel)
    {
        this.json = json;
        this.isByteLevel = isByteLevel;
    }

    /// <summary>Reads the model.</summary>
    /// <param name="json">The whole file, in UTF-8.</param>
    /// <param name="reader">A reader of the file, at the start of the model. It is at its end afterwards.</param>
    /// <param name="isByteLevel">Whether the vocabulary is written in the alphabet of bytes.</param>
    /// <exception cref="TokenizerFileException">The model is not valid, or is not supported.</exception>
    /// <exception cref="JsonException">The file is not JSON.</exception>
    public static ITokenModel Read(ReadOnlySpan<byte> json, ref Utf8JsonReader reader, bool isByteLevel) =>
        new ModelReader(json, isByteLevel).Read(ref reader);

    private ITokenModel Read(ref Utf8JsonReader reader)
    {
        var mergesAt = -1;
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new TokenizerFileException($"{Path} is a {reader.TokenType}; expected an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (name == "vocab") ReadVocabulary(ref reader);
            else if (name == "merges" && reader.TokenType == JsonTokenType.StartArray)
            {
                // The tokens must be known before the merges.
                mergesAt = vocabulary is null ? (int)reader.TokenStartIndex : -1;
                if (vocabulary is null) reader.Skip();
                else ReadMerges(ref reader);
            }
            else
            {
                using var document = JsonDocument.ParseValue(ref reader);
                fields[name] = JsonNode.Parse(document.RootElement.GetRawText());
            }
        }

        if (vocabulary is null || vocabulary.Count == 0) throw new TokenizerFileException($"{Path}.vocab is missing");
        if (mergesAt >= 0)
        {
            var rest = new Utf8JsonReader(json[mergesAt..]);
            rest.Read();
            ReadMerges(ref rest);
        }

        return Create(vocabulary);
    }

    private ITokenModel Create(Vocabulary tokens)
    {
        using var document = JsonDocument.Parse(fields.ToJsonString());
        var model = new JsonPart(document.RootElement.Clone(), Path);
        var type = model.Text("type", scores is not null ? "Unigram" : "BPE");
        if (isByteLevel && type != "BPE")
            throw new TokenizerFileException($"{Path}.type is '{type}' with pre_tokenizer ByteLevel; supported: BPE");
        if ((type == "Unigram") != (scores is not null))
            throw new TokenizerFileException(
                $"{Path}.vocab of type '{type}' is {(scores is null ? "an object" : "a list")}; "
                + $"expected {(scores is null ? "a list" : "an object")}");
        return type switch
        {
            "BPE" => CreateBpe(tokens, model),
            "WordPiece" => new WordPieceModel(tokens, model),
            "WordLevel" => new WordLevelModel(tokens, model),
            "Unigram" => new UnigramModel(tokens, [.. scores!], model),
            _ => throw model.Unsupported("BPE, WordPiece, WordLevel, Unigram"),
        };
    }

    private BpeModel CreateBpe(Vocabulary tokens, JsonPart model)
    {
        foreach (var name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            if (model.Text(name, "") is { Length: > 0 } value)
                throw new TokenizerFileException($"{Path}.{name} is '{value}'; supported: empty");
        if (model.Find("dropout") is { } dropout && dropout.Value.ToString() is not ("0" or "0.0"))
            throw dropout.Unexpected("0 or null, because tokens would be random");
        var options = new BpeOptions(isByteLevel, model.Text("unk_token", null), model.Flag("fuse_unk", false),
            model.Flag("byte_fallback", false), model.Flag("ignore_merges", false));
        return new BpeModel(tokens, merges ?? new MergeTable(0), options, Path);
    }

    private void ReadVocabulary(ref Utf8JsonReader reader)
    {
        vocabulary = new Vocabulary(isByteLevel);
        if (reader.TokenType == JsonTokenType.StartObject)
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var token = Text(ref reader, buffer);
                reader.Read();
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out var id))
                    throw new TokenizerFileException($"{Path}.vocab has a token whose number is a {reader.TokenType}");
                vocabulary.Add(token, id, $"{Path}.vocab");
            }
        else if (reader.TokenType == JsonTokenType.StartArray) ReadScoredTokens(ref reader);
        else throw new TokenizerFileException($"{Path}.vocab is a {reader.TokenType}; expected an object or a list");
    }

    private void ReadScoredTokens(ref Utf8JsonReader reader)
    {
        scores = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.StartArray && reader.Read())
            {
                var token = Text(ref reader, buffer);
                reader.Read();
                if (reader.TokenType == JsonTokenType.Number)
                {
                    vocabulary!.Add(token, scores.Count, $"{Path}.vocab");
                    scores.Add(reader.GetDouble());
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.EndArray) continue;
                }
            }

            throw new TokenizerFileException($"{Path}.vocab[{scores.Count}] is not a token and its score");
        }
    }

    private void ReadMerges(ref Utf8JsonReader reader)
    {
        merges = new MergeTable(vocabulary!.Count);
        for (var rank = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; rank++)
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                // The format before 2024: both tokens, separated by a space.
                var line = Text(ref reader, buffer);
                var space = line.IndexOf((byte)' ');
                if (space < 0 || line[(space + 1)..].Contains((byte)' ')) throw NoMerge(rank);
                AddMerge(line[..space], line[(space + 1)..], rank);
            }
            else
            {
                if (reader.TokenType != JsonTokenType.StartArray || !reader.Read()) throw NoMerge(rank);
                var left = Text(ref reader, buffer.AsSpan(0, LongestToken));
                reader.Read();
                AddMerge(left, Text(ref reader, buffer.AsSpan(LongestToken)), rank);
                reader.Read();
                if (reader.TokenType != JsonTokenType.EndArray) throw NoMerge(rank);
            }
        }
    }

    private static TokenizerFileException NoMerge(int rank) =>
        new($"{Path}.merges[{rank}] does not have two tokens");

    private readonly void AddMerge(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, int rank)
    {
        // Words of a byte-level model never have a token outside of the alphabet.
        if (!vocabulary!.TryRead(left, both, out var leftLength)
            || !vocabulary.TryRead(right, both.AsSpan(leftLength), out var rightLength)) return;
        ReadOnlySpan<byte> bytes = both.AsSpan(0, leftLength + rightLength);
        var first = vocabulary.FindByHash(bytes[..leftLength]);
        var second = vocabulary.FindByHash(bytes[leftLength..]);
        var merged = vocabulary.FindByHash(bytes);
        if (first < 0 || second < 0 || merged < 0)
            throw new TokenizerFileException($"{Path}.merges[{rank}] has a token that is not in {Path}.vocab");
        merges!.Add(first, second, rank, merged);
    }

    /// <summary>Returns the current text in UTF-8. It is in the buffer if it has escapes.</summary>
    private static ReadOnlySpan<byte> Text(ref Utf8JsonReader reader, Span<byte> buffer)
    {
        if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName))
            throw new TokenizerFileException($"{Path} has a {reader.TokenType}; expected a token");
        if (reader.ValueSpan.Length > LongestToken)
            throw new TokenizerFileException(
                $"{Path} has a token of {reader.ValueSpan.Length} bytes; expected at most {LongestToken}");
        return reader.ValueIsEscaped ? buffer[..reader.CopyString(buffer)] : reader.ValueSpan;
    }
}
