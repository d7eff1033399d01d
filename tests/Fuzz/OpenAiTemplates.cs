using System.Text;
using Google.Protobuf;
using Sluice.Testing;
using Sluice.Testing.Llama;
using Sluice.Testing.Onnx;

namespace Sluice.Fuzz;

/// <summary>Valid requests of the OpenAI API, and the models that serve them.</summary>
internal static class OpenAiTemplates
{
    private const string Chat = """
        {%- for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>
        {{ c.function | tojson }}</tool_call>{% endfor %}{% endfor %}{% if tools %}{{ tools | tojson }}{% endif -%}
        {% if add_generation_prompt %}<|assistant|>{% endif %}
        """;

    private const string Tool = """
        {"type":"function","function":{"name":"add","description":"Adds.","parameters":{"type":"object",
         "properties":{"a":{"type":"integer"},"b":{"enum":["x","y"]}},"required":["a","b"],
         "additionalProperties":false}}}
        """;

    /// <summary>The changed requests generate at most as many tokens as the context has.</summary>
    private static readonly LlamaShape Shape = new(1, 32, 2, 1, 64, 1000, 256);

    /// <summary>Puts a language model <c>chat</c> and an encoder <c>vectors</c> into a repository.</summary>
    public static void PutModels(string repository)
    {
        var folder = Directory.CreateDirectory(Path.Combine(repository, "chat", "1")).FullName;
        LlamaOnnx.Write(new LlamaWeights(Shape), folder, Chat);
        TinyModel.Put(repository, "vectors", Encoder());
        new LlamaTokens(Shape.Vocabulary).Write(Path.Combine(repository, "vectors", "1"));
    }

    /// <summary>Returns each request as its path and its JSON.</summary>
    public static List<(string Path, byte[] Head, byte[] Tail)> All()
    {
        const string user = """{"role":"user","content":"Hello, tell me 1 + 1."}""";
        const string schema = """
            {"type":"object","properties":{"list":{"type":"array","items":{"anyOf":[{"type":"number"},{"$ref":"#/$defs/d"}]}}},
             "required":["list"],"additionalProperties":false,"$defs":{"d":{"type":"string"}}}
            """;
        string[] chats =
        [
            $$"""[{"role":"system","content":"Be kind."},{{user}}],"max_tokens":4""",
            $$"""[{{user}}],"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":5,"seed":7""",
            $$"""[{{user}}],"max_tokens":3,"n":2,"logprobs":true,"top_logprobs":3,"temperature":0.7,"top_p":0.9""",
            $$"""[{{user}}],"max_tokens":6,"stop":["a","bc"],"logit_bias":{"5":-100},"presence_penalty":0.5""",
            $$"""[{{user}}],"max_tokens":8,"response_format":{"type":"json_object"}""",
            $$$"""
            [{{{user}}}],"max_tokens":8,"stream":true,
            "response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{{{schema}}}}}
            """,
            $$"""[{{user}}],"max_tokens":8,"tools":[{{Tool}}],"tool_choice":"auto","stream":true""",
            $$$"""
            [{{{user}}}],"max_tokens":8,"tools":[{{{Tool}}}],"parallel_tool_calls":false,
            "tool_choice":{"type":"function","function":{"name":"add"}}
            """,
            $$$"""
            [{{{user}}},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
            "function":{"name":"add","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"2"}],"max_tokens":2
            """,
            """[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],"max_tokens":2""",
            $$"""[{{user}}],"max_tokens":2,"chat_template_kwargs":{"enable_thinking":true},"cache_salt":"s","priority":2""",
        ];
        string[] completions =
        [
            "\"once\",\"max_tokens\":4,\"echo\":true,\"logprobs\":2",
            "[\"a\",\"b\"],\"max_tokens\":3,\"n\":2,\"best_of\":2,\"stream\":true",
            "[1,2,3],\"max_tokens\":2,\"min_tokens\":1,\"ignore_eos\":true,\"top_k\":5,\"min_p\":0.1",
            "[[1,2],[3]],\"max_tokens\":2,\"repetition_penalty\":1.1,\"user\":\"me\"",
        ];
        string[] embeddings =
        [
            "\"some text\"", "[\"a\",\"b\"],\"encoding_format\":\"base64\"", "[1,2,3]",
            "[[1],[2,3]],\"encoding_format\":\"float\",\"dimensions\":32",
        ];
        return
        [
            .. chats.Select(c => Request("chat/completions", $$"""{"model":"chat","messages":{{c}}}""")),
            .. completions.Select(c => Request("completions", $$"""{"model":"chat","prompt":{{c}}}""")),
            .. embeddings.Select(e => Request("embeddings", $$"""{"model":"vectors","input":{{e}}}""")),
        ];
    }

    /// <summary>Returns requests for responses, which only a gateway serves.</summary>
    public static List<(string Path, byte[] Head, byte[] Tail)> Responses()
    {
        const string tool = """
            {"type":"function","name":"add","description":"Adds.","strict":true,"parameters":{"type":"object",
            "properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}
            """;
        const string call = """{"type":"function_call","call_id":"c","name":"add","arguments":"{\"a\":1}"}""";
        const string output = """{"type":"function_call_output","call_id":"c","output":"2"}""";
        const string format = """
            {"type":"json_schema","name":"s","strict":true,"schema":{"type":"object",
            "properties":{"a":{"type":"number"}},"required":["a"],"additionalProperties":false}}
            """;
        string[] inputs =
        [
            "\"Hello\",\"max_output_tokens\":4",
            "\"Hello\",\"max_output_tokens\":5,\"stream\":true,\"instructions\":\"Be kind.\"",
            """[{"role":"user","content":[{"type":"input_text","text":"a"}]}],"max_output_tokens":3,"store":false""",
            $$"""[{"role":"user","content":"a"},{{call}},{{output}}],"tools":[{{tool}}],"max_output_tokens":3""",
            $$"""
            [{"role":"user","content":"a"}],"tools":[{{tool}}],"tool_choice":"required","max_output_tokens":6,
            "stream":true
            """,
            $$"""[{"role":"user","content":"a"}],"text":{"format":{{format}}},"max_output_tokens":8""",
            """ "Hello","max_output_tokens":2,"temperature":0.5,"top_p":0.9,"metadata":{"a":"b"},"user":"me" """,
        ];
        return [.. inputs.Select(i => Request("responses", $$"""{"model":"chat","input":{{i}}}"""))];
    }

    private static (string, byte[], byte[]) Request(string path, string json) =>
        ("/v1/" + path, Encoding.UTF8.GetBytes(json), []);

    /// <summary>An encoder without attention: the vector of a token is its row of a table.</summary>
    private static byte[] Encoder() => new ModelProto
    {
        IrVersion = 8,
        Graph = new GraphProto
        {
            Name = "encoder",
            Node = { TinyModel.Node("Gather", ["table", "input_ids"], "last_hidden_state") },
            Initializer =
            {
                TinyModel.Tensor("table", new LlamaWeights(Shape).Get("lm_head"), Shape.Vocabulary, Shape.Width),
            },
            Input =
            {
                TinyModel.Value("input_ids", "INT64", -1, -1),
                TinyModel.Value("attention_mask", "INT64", -1, -1),
            },
            Output = { TinyModel.Value("last_hidden_state", "FP32", -1, -1, Shape.Width) },
        },
        OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } },
    }.ToByteArray();
}
