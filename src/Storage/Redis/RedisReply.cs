using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>
/// Reads replies whose form the header of a script defines. Throws if the reply is nil, which is a defect in a script.
/// </summary>
public static class RedisReply
{
    /// <summary>Returns the items of an array.</summary>
    public static RedisResult[] Items(this RedisResult reply) => (RedisResult[]?)reply ?? throw Nil("an array");

    /// <summary>Returns a text.</summary>
    public static string Text(this RedisResult reply) => (string?)reply ?? throw Nil("a text");

    /// <summary>Returns an array of texts.</summary>
    public static string[] Texts(this RedisResult reply) => Array.ConvertAll(reply.Items(), Text);

    /// <summary>Returns a text as its bytes.</summary>
    public static byte[] Bytes(this RedisResult reply) => (byte[]?)reply ?? throw Nil("a text");

    private static InvalidOperationException Nil(string expected) =>
        new($"The reply of Redis is nil; expected {expected}.");
}
