using System.Text;
using Sluice.Testing;

namespace Sluice.Fuzz;

/// <summary>The valid requests that <see cref="Mutation"/> changes.</summary>
internal static class RequestTemplates
{
    /// <summary>Returns each request as its path, its JSON, and the binary data after the JSON.</summary>
    public static List<(string Path, byte[] Head, byte[] Tail)> All()
    {
        var templates = new List<(string, byte[], byte[])>();
        foreach (var type in TinyModel.ElementTypes.Keys)
        {
            var path = $"/v2/models/id-{type}/infer";
            var data = type switch { "BOOL" => "[true,false]", "BYTES" => "[\"a\",\"b\"]", _ => "[[1,2]]" };
            var input = $$"""{"name":"in","datatype":"{{type}}","shape":[1,2],"data":{{data}}}""";
            Add(path, $$$"""{"id":"1","inputs":[{{{input}}}],"parameters":{"priority":1}}""");
            var raw = Raw(type);
            templates.Add((path, Encoding.UTF8.GetBytes($$$"""
                {"inputs":[{"name":"in","shape":[1,2],"datatype":"{{{type}}}","parameters":{"binary_data_size":{{{raw.Length}}}}}],
                 "outputs":[{"name":"out","parameters":{"binary_data":true}}]}
                """), raw));
            var list = type switch
            {
                "BOOL" => "[true,false]",
                "BYTES" => "[\"a,[b]\",\"c\"]",
                "FP32" => "[0.12345678, -1.234567890123456,0.5,9.25]",
                _ => "[1,2]",
            };
            Add($"/v2/models/id-{type}/{(templates.Count % 2 == 0 ? "generate" : "generate_stream")}",
                $$"""{"id":"1","in":{{list}},"mine":true}""");
        }

        const string a = """{"name":"a","datatype":"FP32","shape":[1,2],"data":[1.5,-2e-3]}""";
        const string b = """{"name":"b","datatype":"FP32","shape":[1,2],"data":[1,2]}""";
        Add("/v2/models/add/infer", $$$"""
            {"inputs":[{{{a}}},{{{b}}}],
             "outputs":[{"name":"sum","parameters":{"classification":1}}]}
            """);
        Add("/v2/models/add/generate", """{"a":[1.5,-2e-3],"parameters":{"b":[0.1,0.22],"priority":2}}""");
        Add("/v2/models/lookup/generate", """{"in":1,"timeout":1000000}""");
        Add("/v2/models/lookup/infer", """
            {"inputs":[{"name":"in","datatype":"INT64","shape":[2],"data":[1,2]}],"parameters":{"timeout":1000000}}
            """);
        Add("/run", """
            {"id":"j","input":{"model":"lookup","inputs":[{"name":"in","datatype":"INT64","shape":[2],"data":[1,2]}]}}
            """);
        Add("/v2/repository/index", """{"ready":true}""");
        return templates;

        void Add(string path, string json) => templates.Add((path, Encoding.UTF8.GetBytes(json), []));
    }

    /// <summary>Returns the binary data of two elements.</summary>
    private static byte[] Raw(string type) => type switch
    {
        "BYTES" => [1, 0, 0, 0, 65, 1, 0, 0, 0, 66],
        "BOOL" or "INT8" or "UINT8" => new byte[2],
        "INT16" or "UINT16" or "FP16" or "BF16" => new byte[4],
        "FP64" or "INT64" or "UINT64" => new byte[16],
        _ => new byte[8],
    };
}
