/* The ball's own words. */
export const words = {
    en: {
        b_ask: "Hold, tap or press space to ask", b_again: "Ask again, whenever you like", b_button: "Ask the ball", b_opening: "Opening the microphone…",
        b_hold: "Listening… let go when you have asked", b_tap: "Listening… fall silent or tap when you have asked", b_free: "Listening… just ask",
        b_thinking: "The ball thinks…", b_waiting: "{0} ahead of you", b_typed: "Or type your question", b_send: "Ask", b_handsfree: "Hands-free",
        b_handsfreeHint: "Speak when you like; speaking over an answer stops it", b_nothing: "Nothing was heard. Ask a little louder.", b_cancelled: "Never mind, then",
        b_loading: "Waking up. You may ask already.", b_asr: "Hearing", b_llm: "Thinking", b_tts: "Speaking", b_ready: "ready", b_isLoading: "loading",
        b_missing: "missing", b_kept: "What it said", b_clear: "Forget all", b_replay: "Hear again: {0}", b_stop: "Stop", b_look: "Show again: {0}",
        b_heard: "heard", b_word: "first word", b_sound: "first sound", b_ms: "{0} ms", b_since: "Milliseconds after the question's end", b_parts: "The parts behind it",
        b_noQuestion: "(not understood)", b_tapToHear: "Tap the ball to hear it", b_typeOnly: "You can still type your question.", b_escape: "Esc cancels",
    },
    zh: {
        b_ask: "按住、轻点或按空格键提问", b_again: "想问就再问一次", b_button: "向魔力球提问", b_opening: "正在打开麦克风…",
        b_hold: "正在听…说完后松开", b_tap: "正在听…说完后稍停或再点一下", b_free: "正在听…请直接提问",
        b_thinking: "魔力球正在思考…", b_waiting: "前面还有 {0} 位", b_typed: "也可以输入问题", b_send: "提问", b_handsfree: "免按模式",
        b_handsfreeHint: "随时开口即可；说话会打断回答", b_nothing: "没有听到声音，请大声一点。", b_cancelled: "好，那就算了",
        b_loading: "正在苏醒，现在就可以提问。", b_asr: "听", b_llm: "想", b_tts: "说", b_ready: "就绪", b_isLoading: "加载中",
        b_missing: "缺失", b_kept: "它说过的话", b_clear: "全部忘记", b_replay: "再听一次：{0}", b_stop: "停止", b_look: "再看一次：{0}",
        b_heard: "听懂", b_word: "首字", b_sound: "首声", b_ms: "{0} 毫秒", b_since: "从问题结束算起的毫秒数", b_parts: "背后的组件",
        b_noQuestion: "（没有听懂）", b_tapToHear: "轻点魔力球收听", b_typeOnly: "仍可输入问题。", b_escape: "Esc 取消",
    },
    ar: {
        b_ask: "اضغط مطولًا أو انقر أو اضغط المسافة لتسأل", b_again: "اسأل مجددًا متى شئت", b_button: "اسأل الكرة", b_opening: "جارٍ فتح الميكروفون…",
        b_hold: "أستمع… ارفع يدك حين تنتهي", b_tap: "أستمع… اصمت أو انقر حين تنتهي", b_free: "أستمع… تفضّل بالسؤال",
        b_thinking: "الكرة تفكّر…", b_waiting: "أمامك {0}", b_typed: "أو اكتب سؤالك", b_send: "اسأل", b_handsfree: "بلا أيدٍ",
        b_handsfreeHint: "تكلّم متى شئت؛ والكلام فوق الجواب يوقفه", b_nothing: "لم يُسمع شيء. اسأل بصوت أعلى قليلًا.", b_cancelled: "لا بأس إذن",
        b_loading: "تستيقظ الآن، ويمكنك أن تسأل.", b_asr: "السمع", b_llm: "التفكير", b_tts: "النطق", b_ready: "جاهز", b_isLoading: "جارٍ التحميل",
        b_missing: "مفقود", b_kept: "ما قالته", b_clear: "انسَ الكل", b_replay: "اسمع مجددًا: {0}", b_stop: "إيقاف", b_look: "أظهر مجددًا: {0}",
        b_heard: "سُمع", b_word: "أول كلمة", b_sound: "أول صوت", b_ms: "{0} م.ث", b_since: "بالملّي ثانية منذ نهاية السؤال", b_parts: "الأجزاء خلفها",
        b_noQuestion: "(لم يُفهم)", b_tapToHear: "انقر الكرة لتسمعها", b_typeOnly: "ما زال بإمكانك كتابة سؤالك.", b_escape: "Esc للإلغاء",
    },
};
