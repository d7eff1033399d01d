using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization.Models;

/// <summary>
/// The tokens of a model as bytes, found by number or by content. One array holds all bytes, because 260,000 strings
/// need ten times the time and memory. Not changed after it was filled.
/// </summary>
internal sealed class Vocabulary
{
    /// <summary>Limit of token numbers. It bounds the memory. Gemma 3 has 262,144 tokens.</summary>
    public const int MaxTokens = 1 << 22;

    /// <summary>Random, so that a file cannot have tokens that all have one hash value.</summary>
    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64() | 1;

    private readonly bool isByteLevel;
    private byte[] bytes = new byte[1 << 14];
    private int used;
    private Entry[] entries = new Entry[1 << 10];
    private Slot[] slots = new Slot[1 << 11];
    private int found;

    /// <param name="isByteLevel">
    /// Whether the file writes each byte as a visible character. The tokens here have the bytes.
    /// </param>
    public Vocabulary(bool isByteLevel) => this.isByteLevel = isByteLevel;

    /// <summary>One more than the largest number of a token.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a token as the file writes it, in UTF-8.</summary>
    /// <exception cref="TokenizerFileException">The number is too large.</exception>
    public void Add(ReadOnlySpan<byte> token, int id, string path)
    {
        if (id is < 0 or >= MaxTokens)
            throw new TokenizerFileException($"{path} has token number {id}; expected at most {MaxTokens - 1}");
        if (id >= entries.Length) Array.Resize(ref entries, Math.Max(id + 1, entries.Length * 2));
        while (used + token.Length > bytes.Length) Array.Resize(ref bytes, bytes.Length * 2);
        Count = Math.Max(Count, id + 1);
        var target = bytes.AsSpan(used, token.Length);
        // Words of a byte-level model have only characters of its alphabet, so another token is never part of a word.
        var isFound = true;
        var length = token.Length;
        if (!isByteLevel) token.CopyTo(target);
        else if (!ByteAlphabet.TryDecode(token, target, out length))
        {
            isFound = false;
            length = token.Length;
            token.CopyTo(target);
        }

        entries[id] = new Entry(used, length);
        used += length;
        if (isFound) Insert(id);
    }

    /// <summary>Returns the token with these bytes, or -1.</summary>
    public int Find(ReadOnlySpan<byte> token)
    {
        var id = FindByHash(token);
        return id >= 0 && BytesOf(id).SequenceEqual(token) ? id : -1;
    }

    /// <summary>
    /// Returns the token with these bytes, or -1. For bytes that are known to be a token: only hash values of 64 bits
    /// are compared, which no two tokens share. That needs a third of the time, and a file has up to 1.5 million
    /// parts of merges.
    /// </summary>
    public int FindByHash(ReadOnlySpan<byte> token)
    {
        var hash = Hash(token);
        var mask = slots.Length - 1;
        for (var i = (int)hash & mask; slots[i].Id != 0; i = (i + 1) & mask)
            if (slots[i].Hash == hash) return slots[i].Id - 1;
        return -1;
    }

    /// <summary>Returns the token of a text as the file writes it, or -1.</summary>
    public int FindWritten(ReadOnlySpan<byte> token)
    {
        if (!isByteLevel) return Find(token);
        Span<byte> read = token.Length <= 512 ? stackalloc byte[token.Length] : new byte[token.Length];
        return ByteAlphabet.TryDecode(token, read, out var length) ? Find(read[..length]) : -1;
    }

    /// <summary>
    /// Converts a token as the file writes it to bytes. Returns false if it is not in the alphabet of bytes.
    /// </summary>
    public bool TryRead(ReadOnlySpan<byte> token, Span<byte> target, out int length)
    {
        if (isByteLevel) return ByteAlphabet.TryDecode(token, target, out length);
        token.CopyTo(target);
        length = token.Length;
        return true;
    }

    /// <summary>Returns the bytes of a token. Empty if there is no such token.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) =>
        (uint)id < (uint)Count ? bytes.AsSpan(entries[id].Start, entries[id].Length) : [];

    /// <summary>Returns a hash value of bytes: a multiplication for each 16 bytes, as in wyhash.</summary>
    private static ulong Hash(ReadOnlySpan<byte> token)
    {
        var hash = Seed ^ (ulong)token.Length;
        for (; token.Length > 16; token = token[16..]) hash = Mix(hash, Read8(token), Read8(token[8..]));
        return token.Length switch
        {
            >= 8 => Mix(hash, Read8(token), Read8(token[^8..])),
            >= 4 => Mix(hash, BitConverter.ToUInt32(token), BitConverter.ToUInt32(token[^4..])),
            > 0 => Mix(hash, ((ulong)token[0] << 16) | ((ulong)token[token.Length / 2] << 8) | token[^1], 0),
            _ => Mix(hash, 0, 0),
        };
    }

    private static ulong Read8(ReadOnlySpan<byte> bytes) => BitConverter.ToUInt64(bytes);

    private static ulong Mix(ulong hash, ulong first, ulong second)
    {
        var high = Math.BigMul(first ^ 0xA0761D6478BD642F ^ hash, second ^ 0xE7037ED1A0B428DB ^ Seed, out var low);
        high = Math.BigMul(high ^ low ^ 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3 ^ hash, out low);
        return high ^ low;
    }

    private void Insert(int id)
    {
        if (2 * ++found > slots.Length)
        {
            var old = slots;
            slots = new Slot[old.Length * 2];
            foreach (var slot in old)
                if (slot.Id != 0) Place(slot);
        }

        Place(new Slot(Hash(BytesOf(id)), id + 1));
    }

    /// <summary>A later token with the same bytes replaces an earlier one.</summary>
    private void Place(Slot token)
    {
        var mask = slots.Length - 1;
        var i = (int)token.Hash & mask;
        while (slots[i].Id != 0 && slots[i].Hash != token.Hash) i = (i + 1) & mask;
        if (slots[i].Id != 0 && !BytesOf(slots[i].Id - 1).SequenceEqual(BytesOf(token.Id - 1)))
            throw new TokenizerFileException("two tokens have one hash value; load the model again");
        slots[i] = token;
    }

    private readonly record struct Entry(int Start, int Length);

    /// <param name="Hash">The hash value of the token.</param>
    /// <param name="Id">One more than its number; 0 if the slot is free.</param>
    private readonly record struct Slot(ulong Hash, int Id);
}
